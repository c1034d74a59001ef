import { AsyncLocalStorage } from 'node:async_hooks'
import type pg from 'pg'
import { createTurns, type Turns } from '../lib/turns.ts'
import { GuardedPool, returning } from './guarded-pool.ts'
import { sendTogether } from './pipeline.ts'
import { PooledClient, sendOver } from './pooled-client.ts'

/**
 * A pool whose every connection is bound to the tenant of the running scope before it is handed out. Row-level
 * security then shows that tenant's rows and no others; outside any scope no row at all.
 *
 * The tenant is a session setting that is sent only when the connection last served another tenant: before the first
 * statement of a transaction by itself, and together with statements that make one round trip. Connections of a pooler
 * that hands them on after each transaction are bound for each transaction instead.
 *
 * Of four connections and more a tenant has all but one, however much it asks; where all are in use, tenants get the next
 * one in turn.
 */
export class TenantPool extends GuardedPool {
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

  override connect = (() => this.connectAs(this.#scope.getStore() ?? '')) as pg.Pool['connect']

  /** A connection that is bound to this tenant, whatever scope is running. */
  async connectAs(tenantId: string): Promise<pg.PoolClient> {
    const client = await this.#take(tenantId)
    if (this.#isBound(client, tenantId)) return client
    try {
      await client.query(binding(tenantId))
      this.#bound.set(client, tenantId)
      return client
    } catch (error) {
      // Whom the connection serves now is unknown; nobody may use it again.
      client.release(true)
      throw error
    }
  }

  /** Statements of this tenant as one transaction, in one round trip. */
  async send(tenantId: string, queries: readonly pg.QueryConfig[]): Promise<pg.QueryResult[]> {
    const client = await this.#take(tenantId)
    return returning(client, async () => {
      if (this.#isBound(client, tenantId)) return sendOver(client, queries)
      // Where one fails, so does the change of tenant: whoever comes next sends theirs.
      this.#bound.delete(client)
      const [, ...results] = await sendTogether(client, [binding(tenantId), ...queries])
      this.#bound.set(client, tenantId)
      return results
    })
  }

  #isBound(client: pg.PoolClient, tenantId: string): boolean {
    return client instanceof PooledClient || this.#bound.get(client) === tenantId
  }

  async #take(tenantId: string): Promise<pg.PoolClient> {
    await this.#turns.take(tenantId)
    const client = await super.connect().catch((error) => {
      this.#turns.done(tenantId)
      throw error
    })
    const release = client.release.bind(client)
    client.release = (error) => {
      release(error)
      this.#turns.done(tenantId)
    }
    if (client instanceof PooledClient) client.tenantId = tenantId
    return client
  }
}

const binding = (tenantId: string): pg.QueryConfig => ({
  name: 'tenant-bind',
  text: "SELECT set_config('app.tenant', $1, false)",
  values: [tenantId],
})
