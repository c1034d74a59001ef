import pg from 'pg'
import { Connection } from './connection.ts'

/** A pool that takes back no connection that somebody left in the middle of something, or lost. */
export class GuardedPool extends pg.Pool {
  constructor(config: pg.PoolConfig) {
    super({ Client: Connection, ...config })
  }

  override async connect(): Promise<pg.PoolClient> {
    const client = await super.connect()
    const release = client.release.bind(client)
    client.release = (error) => {
      // One that somebody began a transaction on would do what comes next as a part of it, the change of tenant too.
      release(error || client.getTransactionStatus() !== 'I')
    }
    return client
  }

  // pg's own `query` checks out through a callback and would pass by `connect`.
  override query = (async (text: string, values?: unknown[]) => {
    const client = await this.connect()
    return returning(client, () => client.query(text, values))
  }) as pg.Pool['query']
}

/** Gives the connection back after the work, unless it was lost by it: its end comes after the error that tells of it. */
export async function returning<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  let isLost = false
  try {
    return await work()
  } catch (error) {
    isLost = error instanceof pg.DatabaseError && /^(08|57P)/.test(error.code ?? '')
    throw error
  } finally {
    client.release(isLost)
  }
}
