import pg from 'pg'
import { Connection } from './connection.ts'
import { PipelinedQuery, sendTogether } from './pipeline.ts'

/** As whom statements are run, and how long each may take. */
type Terms = { role: string; statementTimeoutMs: number }
type Binding = Terms & { tenantId: string }

/**
 * A connection through a pooler that hands the server's connections on after each transaction (PgBouncer's
 * `pool_mode = transaction`). Nothing may be left behind there, so role, tenant and limits are set for each transaction
 * alone, and end with it, however it ends:
 *
 * - Statements go behind one that binds them, with one Sync for all. That is one transaction and one round trip, and
 *   where the first fails the server skips the others: nothing ever runs unbound.
 * - `BEGIN` binds in the same round trip; what follows is bound until `COMMIT` or `ROLLBACK`.
 *
 * Statements go unnamed: a name would stay with a connection that others get.
 */
export abstract class PooledClient extends Connection {
  /** Whose rows statements see from now on; empty for nobody's. */
  tenantId = ''
  protected abstract readonly terms: Terms

  // biome-ignore lint/suspicious/noExplicitAny: the few forms of pg's many that are used here
  override query = ((given: string | PipelinedQuery | pg.QueryConfig<any>, values?: unknown[]) => {
    if (given instanceof PipelinedQuery) return super.query(given)
    const { name: _name, ...config } = typeof given === 'string' ? { text: given, values } : given
    if (this.getTransactionStatus() !== 'I') return super.query(config)
    if (config.text !== 'BEGIN') return this.sendTogether([config]).then(([result]) => result)
    return super.query(`BEGIN; ${localSettings({ ...this.terms, tenantId: this.tenantId })}`)
  }) as pg.Client['query']

  /** In one round trip, and as one transaction where none has begun. */
  async sendTogether(given: readonly pg.QueryConfig[]): Promise<pg.QueryResult[]> {
    const queries = given.map(({ name: _name, ...query }) => query)
    if (this.getTransactionStatus() !== 'I') return sendTogether(this, queries)
    const binding = bindingOf({ ...this.terms, tenantId: this.tenantId })
    return (await sendTogether(this, [binding, ...queries])).slice(1)
  }
}

/** Sends queries over a connection of either kind: one by itself, several in one round trip and as one transaction. */
export async function sendOver(
  client: pg.ClientBase,
  queries: readonly pg.QueryConfig[],
): Promise<pg.QueryResult[]> {
  if (client instanceof PooledClient) return client.sendTogether(queries)
  const [only, ...others] = queries
  return only && others.length === 0 ? [await client.query(only)] : sendTogether(client, queries)
}

/** Connections of one pool, which all are on the same terms. */
export const pooledClient = (terms: Terms): typeof pg.Client =>
  class extends PooledClient {
    protected override readonly terms = terms
  }

/** No query among them: with one, a transaction could not choose its isolation any more. */
const localSettings = ({ role, tenantId, statementTimeoutMs }: Binding) =>
  `SET LOCAL ROLE ${pg.escapeIdentifier(role)}; SET LOCAL app.tenant = ${pg.escapeLiteral(tenantId)};
  SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = ${statementTimeoutMs};
  SET LOCAL idle_in_transaction_session_timeout = 30000`

const bindingOf = ({ role, tenantId, statementTimeoutMs }: Binding): pg.QueryConfig => ({
  text: `SELECT set_config('role', $1, true), set_config('app.tenant', $2, true),
    set_config('statement_timeout', $3, true), set_config('timezone', 'UTC', true)`,
  values: [role, tenantId, String(statementTimeoutMs)],
})
