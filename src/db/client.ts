import { PrismaPg } from '@prisma/adapter-pg'
import { LRUCache } from 'lru-cache'
import pg from 'pg'
import type { Prisma } from './generated/prisma/client.ts'
import { PrismaClient, Prisma as prismaValues } from './generated/prisma/client.ts'
import { type Sql, type Statement, TenantPool } from './tenant.ts'
import { createUniqueReads } from './unique-reads.ts'

export type {
  Agent,
  AuditEntry,
  Citation,
  Document,
  Memory,
  Message,
  Participant,
  Prisma,
  Run,
  Session,
  Template,
  Tenant,
  User,
} from './generated/prisma/client.ts'
export type { Sql, Statement } from './tenant.ts'

export type DatabaseOptions = {
  url: string
  poolSize: number
  /** Milliseconds to wait for a free connection before the request fails. */
  poolWaitMs: number
  statementTimeoutMs: number
  /** Faults of connections that nobody was using at the time. */
  onError: (error: Error) => void
}

/** The database as one tenant sees it: the only form in which features hold it. */
export type TenantDatabase = {
  readonly tenantId: string
  readonly prisma: PrismaClient
  /** One prepared statement over the same pool, for the few paths that are hot. */
  readonly sql: Sql
  /**
   * One statement that looks for text, tags or metadata. Row-level security keeps PostgreSQL from every index on text
   * or JSON, since their operators might tell of a row before it is known to be the tenant's. This goes past it, so
   * the statement is the wall: its `$1` is the tenant, filled in here, and every table in it must be held to that.
   * Take ids from it and read the rows by `sql` or `prisma`, which check them again.
   */
  readonly searchSql: Sql
  /** Statements of one transaction; rolls back when `work` throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** Prisma reads that all see one state of the database. */
  snapshot<T>(work: (prisma: Prisma.TransactionClient) => Promise<T>): Promise<T>
}

/** The door for work that belongs to no single tenant: sign-in, claiming runs, recovery. */
export type SystemDatabase = { readonly sql: Sql; transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> }

export type Database = {
  forTenant(tenantId: string): TenantDatabase
  readonly system: SystemDatabase
  /** Resolves when the database answers. */
  ping(): Promise<void>
  /** The connections of tenants' work now. */
  poolUse(): PoolUse
  close(): Promise<void>
}

/** `waiting` are queries that no connection is free for. */
export type PoolUse = { max: number; open: number; inUse: number; waiting: number }

/** Opens the pools. Connections run as `parley_app` or `parley_system`, never as the owner of the tables. */
export function createDatabase(options: DatabaseOptions): Database {
  const pool = new TenantPool(poolConfig(options, 'parley_app', options.poolSize))
  const systemPool = new pg.Pool(poolConfig(options, 'parley_system', 4))
  for (const each of [pool, systemPool]) {
    each.on('error', options.onError)
    // pg listens to a connection only while it is idle; one that is lost between two statements of a transaction would
    // end the process. Its next statement fails, which is told to whoever sent it.
    each.on('connect', (client) => client.on('error', () => {}))
  }

  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool, { statementNameGenerator: createStatementNames() }),
    transactionOptions: { maxWait: options.poolWaitMs, timeout: options.statementTimeoutMs * 2 },
  })
  const bound = new LRUCache<string, TenantDatabase>({ max: 10_000 })
  return {
    forTenant(tenantId) {
      const known = bound.get(tenantId) ?? bindTenant(prisma, pool, tenantId)
      bound.set(tenantId, known)
      return known
    },
    system: {
      sql: sqlOver(() => systemPool.connect()),
      transaction: (work) => inTransaction(systemPool, work),
    },
    ping: async () => {
      await systemPool.query('SELECT 1')
    },
    poolUse: () => ({
      max: options.poolSize,
      open: pool.totalCount,
      inUse: pool.totalCount - pool.idleCount,
      waiting: pool.waiting,
    }),
    close: async () => {
      await prisma.$disconnect()
      await Promise.all([pool.end(), systemPool.end()])
    },
  }
}

const poolConfig = (options: DatabaseOptions, role: string, max: number) => ({
  connectionString: options.url,
  max,
  connectionTimeoutMillis: options.poolWaitMs,
  // A role given at the start of a connection is also what RESET ROLE goes back to. UTC because adapter-pg reads
  // timestamptz as if the session were in UTC.
  options: `-c role=${role} -c timezone=UTC -c statement_timeout=${options.statementTimeoutMs} -c idle_in_transaction_session_timeout=30000`,
})

/** Until the end of the transaction. */
const passRowSecurity: Statement = { name: 'role-system', text: 'SET LOCAL ROLE parley_system' }

function bindTenant(prisma: PrismaClient, pool: TenantPool, tenantId: string): TenantDatabase {
  const findUnique = createUniqueReads(prisma, tenantId, (read) => pool.within(tenantId, read))
  const bound = prisma.$extends({
    query: {
      $allOperations: ({ model, operation, args, query }) =>
        model !== undefined && (operation === 'findUnique' || operation === 'findUniqueOrThrow')
          ? findUnique(model, operation, args)
          : pool.within(tenantId, () => query(args)),
    },
    client: {
      $transaction: (work: never, settings?: never) =>
        pool.within(tenantId, () => prisma.$transaction(work, settings)),
    },
  }) as unknown as PrismaClient
  return {
    tenantId,
    prisma: bound,
    sql: sqlOver(() => pool.connectAs(tenantId)),
    searchSql: (statement, values) =>
      pool.within(tenantId, () =>
        inTransaction(pool, async (sql) => {
          await sql(passRowSecurity, [])
          return sql(statement, [tenantId, ...values])
        }),
      ),
    transaction: (work) => pool.within(tenantId, () => inTransaction(pool, work)),
    snapshot: (work) => bound.$transaction(work, { isolationLevel: 'RepeatableRead' }),
  }
}

const sqlOver =
  (connect: () => Promise<pg.PoolClient>): Sql =>
  async (statement, values) => {
    const client = await connect()
    try {
      return await run(client, statement, values)
    } finally {
      client.release()
    }
  }

async function inTransaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work((statement, values) => run(client, statement, values))
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
  }
}

async function run<Row extends object>(
  client: pg.PoolClient,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  const result = await client.query<Row>({ name: statement.name, text: statement.text, values: [...values] })
  return result.rows
}

/** Names make PostgreSQL keep the parsed statement; the texts that Prisma sends are few and recur. */
function createStatementNames() {
  const names = new Map<string, string>()
  return ({ sql }: { sql: string }): string => {
    const known = names.get(sql)
    if (known !== undefined) return known
    // Lists of varying length make ever new texts: past this many they go unnamed into one slot of their own.
    const name = names.size < 2_000 ? `p${names.size}` : ''
    if (name !== '') names.set(sql, name)
    return name
  }
}

/** Whether a statement failed because a unique key is taken (SQLSTATE 23505). */
export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505'

/** What Prisma takes for no value in a JSON column, where null would be JSON's. */
export const noJson = prismaValues.DbNull
