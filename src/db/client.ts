import { PrismaPg } from '@prisma/adapter-pg'
import { LRUCache } from 'lru-cache'
import type pg from 'pg'
import { createTellFailure, type TellFailure } from './failures.ts'
import type { Prisma } from './generated/prisma/client.ts'
import { PrismaClient, Prisma as prismaValues } from './generated/prisma/client.ts'
import { GuardedPool, returning } from './guarded-pool.ts'
import { hearLostConnections } from './lost-connections.ts'
import { pooledClient, sendOver } from './pooled-client.ts'
import type { Pipeline, RunStatement, Sql, Statement, Step } from './steps.ts'
import { TenantPool } from './tenant.ts'
import { createUniqueReads } from './unique-reads.ts'
import { valueParsers } from './value-parsers.ts'
import type { VectorExtension } from './vectors.ts'

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
export type { Sql, Statement, Step } from './steps.ts'

export type DatabaseOptions = {
  url: string
  poolSize: number
  /** Milliseconds to wait for a free connection before the request fails. */
  poolWaitMs: number
  statementTimeoutMs: number
  /** `transaction`: a pooler stands between, which may hand connections on after each transaction. */
  pooler?: 'none' | 'transaction'
  /** Faults of connections that nobody was using at the time. */
  onError: (error: Error) => void
  /** Told what took longer than a statement may. */
  onSlow?: (what: string) => void
  vectors?: VectorExtension | null
}

/** The database as one tenant sees it: the only form in which features hold it. */
export type TenantDatabase = {
  readonly tenantId: string
  readonly prisma: PrismaClient
  /** Prepared statements over the same pool, for the few paths that are hot. */
  readonly sql: Sql
  /**
   * One statement that looks for text, tags or metadata. Row-level security keeps PostgreSQL from every index on text
   * or JSON, since their operators might tell of a row before it is known to be the tenant's. This goes past it, so
   * the statement is the wall: its `$1` is the tenant, filled in here, and every table in it must be held to that.
   * Take ids from it and read the rows by `sql` or `prisma`, which check them again.
   */
  readonly searchSql: RunStatement
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
  /** Null where there is no pgvector, or nothing is looked up by meaning. */
  readonly vectors: VectorExtension | null
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
  hearLostConnections()
  const pool = new TenantPool(poolConfig(options, 'parley_app', options.poolSize))
  const systemPool = new GuardedPool(poolConfig(options, 'parley_system', 4))
  let isClosing = false
  for (const each of [pool, systemPool]) {
    each.on('error', (error) => {
      if (!isClosing) options.onError(error)
    })
    // pg listens to a connection only while it is idle; one that is lost between two statements of a transaction would
    // end the process. Its next statement fails, which is told to whoever sent it.
    each.on('connect', (client) => client.on('error', () => {}))
  }

  const prisma = new PrismaClient({
    // Through a pooler nothing is named.
    adapter: new PrismaPg(
      pool,
      options.pooler === 'transaction' ? {} : { statementNameGenerator: createStatementNames() },
    ),
    // The pool's own limits come first, for the line and for a new connection: they say that it may be tried again.
    transactionOptions: {
      maxWait: options.poolWaitMs * 2 + options.statementTimeoutMs,
      timeout: options.statementTimeoutMs * 2,
    },
  })
  const bound = new LRUCache<string, TenantDatabase>({ max: 10_000 })
  const told = createTellFailure(options.onSlow ?? (() => {}))
  const system: SystemDatabase = {
    sql: sqlBy((queries) => sendBy(systemPool, queries), told),
    transaction: (work) => inTransaction(systemPool, told, work),
  }
  return {
    forTenant(tenantId) {
      const known = bound.get(tenantId)
      if (known) return known
      const made = bindTenant({ prisma, pool, told }, tenantId)
      bound.set(tenantId, made)
      return made
    },
    system,
    vectors: options.vectors ?? null,
    ping: async () => {
      await system.sql(nothing, [])
    },
    poolUse: () => ({
      max: options.poolSize,
      open: pool.totalCount,
      inUse: pool.totalCount - pool.idleCount,
      waiting: pool.waiting,
    }),
    close: async () => {
      // A pool has ended before the last of its connections; that one may still hear that the server stops, too.
      isClosing = true
      await prisma.$disconnect()
      await Promise.all([pool.end(), systemPool.end()])
    },
  }
}

/** A rush after a quiet time would wait for new connections, and each of them has to plan every statement anew. */
const idleTimeoutMillis = 300_000

function poolConfig(options: DatabaseOptions, role: string, max: number) {
  const { url, poolWaitMs, statementTimeoutMs } = options
  const config = {
    connectionString: url,
    max,
    connectionTimeoutMillis: poolWaitMs,
    idleTimeoutMillis,
    types: valueParsers,
  }
  if (options.pooler === 'transaction')
    return { ...config, Client: pooledClient({ role, statementTimeoutMs }) }
  return {
    ...config,
    // A role given at the start of a connection is also what RESET ROLE goes back to. UTC because adapter-pg reads
    // timestamptz as if the session were in UTC. Compiling a statement takes
    // longer than nearly all of those here take to run.
    options: `-c role=${role} -c timezone=UTC -c jit=off -c statement_timeout=${statementTimeoutMs} -c idle_in_transaction_session_timeout=30000`,
  }
}

const nothing: Statement = { name: 'ping', text: 'SELECT' }

/** Until the end of the transaction. */
const passRowSecurity: Statement = { name: 'role-system', text: 'SET LOCAL ROLE parley_system' }

type Shared = { prisma: PrismaClient; pool: TenantPool; told: TellFailure }

function bindTenant({ prisma, pool, told }: Shared, tenantId: string): TenantDatabase {
  /** Work of Prisma as this tenant. */
  const within = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await pool.within(tenantId, work)
    } catch (error) {
      throw told(error, what)
    }
  }
  const findUnique = createUniqueReads(prisma, tenantId, (model, read) => within(`${model}.findUnique`, read))
  const bound = prisma.$extends({
    query: {
      $allOperations: ({ model, operation, args, query }) =>
        model !== undefined && (operation === 'findUnique' || operation === 'findUniqueOrThrow')
          ? findUnique(model, operation, args)
          : within(`${model}.${operation}`, () => query(args)),
    },
    client: {
      $transaction: (work: never, settings?: never) =>
        within('$transaction', () => prisma.$transaction(work, settings)),
    },
  }) as unknown as PrismaClient
  return {
    tenantId,
    prisma: bound,
    sql: sqlBy((queries) => pool.send(tenantId, queries), told),
    searchSql: (statement, values) =>
      pool.within(tenantId, () =>
        inTransaction(pool, told, async (sql) => {
          await sql(passRowSecurity, [])
          return sql(statement, [tenantId, ...values])
        }),
      ),
    transaction: (work) => pool.within(tenantId, () => inTransaction(pool, told, work)),
    snapshot: (work) => bound.$transaction(work, { isolationLevel: 'RepeatableRead' }),
  }
}

/** `send` has the queries run in one round trip, and gives their results. */
function sqlBy(
  send: (queries: readonly pg.QueryConfig[]) => Promise<pg.QueryResult[]>,
  told: TellFailure,
): Sql {
  const one: RunStatement = async (statement, values) => {
    try {
      const [result] = await send([queryOf(statement, values)])
      return result?.rows ?? []
    } catch (error) {
      throw told(error, statement.name)
    }
  }
  const pipeline: Pipeline = async <Results extends readonly unknown[] | []>(
    steps: {
      [At in keyof Results]: Step<Results[At]>
    },
  ) => {
    const asked = steps as readonly Step<unknown>[]
    const queries = asked.map(({ statement, values }) => queryOf(statement, values))
    const results = await send(queries).catch((error) => {
      throw told(error, queries.map(({ name }) => name).join(' '))
    })
    return asked.map(({ read }, at) => read((results[at]?.rows ?? []) as never[])) as unknown as Results
  }
  return Object.assign(one, { pipeline })
}

const queryOf = ({ name, text }: Statement, values: readonly unknown[]): pg.QueryConfig => ({
  name,
  text,
  values: [...values],
})

async function sendBy(pool: GuardedPool, queries: readonly pg.QueryConfig[]): Promise<pg.QueryResult[]> {
  const client = await pool.connect()
  return returning(client, () => sendOver(client, queries))
}

async function inTransaction<T>(
  pool: GuardedPool,
  told: TellFailure,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw told(error, 'BEGIN')
  })
  let broken: Error | undefined
  let isOver = false
  // Whatever of the work still runs when it has ended must not reach a connection that is another tenant's by then.
  const send = async (queries: readonly pg.QueryConfig[]) => {
    if (isOver) throw new Error('The transaction of this statement is over.')
    return sendOver(client, queries)
  }
  try {
    await client.query('BEGIN')
    const result = await work(sqlBy(send, told))
    isOver = true
    await client.query('COMMIT')
    return result
  } catch (error) {
    isOver = true
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
  }
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

/** What Prisma takes for no value in a JSON column, where null would be JSON's. */
export const noJson = prismaValues.DbNull
