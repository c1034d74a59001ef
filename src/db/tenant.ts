import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import { createTurns, type Turns } from '../lib/turns.ts'

/** A prepared statement: `name` is unique to `text` in the whole program. */
export type Statement = { name: string; text: string }

/** Runs one statement and gives its rows; columns are named as the statement names them. */
export type Sql = <Row extends object>(statement: Statement, values: readonly unknown[]) => Promise<Row[]>

/**
 * A pool whose every connection is bound to the tenant of the running scope before it is handed out. Row-level
 * security then shows that tenant's rows and no others; outside any scope no row at all.
 *
 * The tenant is a session setting that is sent only when the connection last served another tenant: one round trip
 * on a switch and none otherwise, against three for a transaction around each query.
 *
 * Where all connections are in use, tenants get the next one in turn, however much one of them asks.
 */
export class TenantPool extends pg.Pool {
  readonly #scope = new AsyncLocalStorage<string>()
  readonly #bound = new WeakMap<pg.PoolClient, string>()
  readonly #turns: Turns

  constructor(config: pg.PoolConfig & { max: number; connectionTimeoutMillis: number }) {
    super(config)
    const { max: atOnce, connectionTimeoutMillis: waitMs } = config
    this.#turns = createTurns({ atOnce, waitMs })
  }

  /** What waits for a connection now. */
  get waiting(): number {
    return this.#turns.waiting()
  }

  /** Everything that `work` asks of this pool, now and after any await, is done as this tenant. */
  within<T>(tenantId: string, work: () => Promise<T>): Promise<T> {
    // The await inside the scope matters: a Prisma promise starts its query only when it is awaited.
    return this.#scope.run(tenantId, async () => await work())
  }

  // pg's own `query` checks out through a callback and would pass by `connect`.
  override query = (async (text: string, values?: unknown[]) => {
    const client = await this.connect()
    try {
      return await client.query(text, values)
    } finally {
      client.release()
    }
  }) as pg.Pool['query']

  override connect = (() => this.connectAs(this.#scope.getStore() ?? '')) as pg.Pool['connect']

  /** A connection that is bound to this tenant, whatever scope is running. */
  async connectAs(tenantId: string): Promise<pg.PoolClient> {
    await this.#turns.take(tenantId)
    const client = await super.connect().catch((error) => {
      this.#turns.done()
      throw error
    })
    const release = client.release.bind(client)
    client.release = (error) => {
      release(error)
      this.#turns.done()
    }
    if (this.#bound.get(client) === tenantId) return client
    try {
      await client.query("SELECT set_config('app.tenant', $1, false)", [tenantId])
      this.#bound.set(client, tenantId)
      return client
    } catch (error) {
      // Whom the connection serves now is unknown; nobody may use it again.
      client.release(true)
      throw error
    }
  }
}
