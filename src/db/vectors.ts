import { Client, DatabaseError } from 'pg'

/** pgvector, as this database has it: vectors are found by an index. Nothing needs it. */
export type VectorExtension = {
  readonly version: string
  /** The schema that its types and operators are in, to be put before their names. */
  readonly schema: string
  /**
   * Has an HNSW index over the chunks' vectors of so many dimensions, at most `maxIndexed`, and none over others. Making
   * it takes minutes for 100,000 chunks, in which they can be read and written. Throws where the user may not.
   */
  keepIndex(dimensions: number): Promise<void>
}

/** Half-precision vectors of more dimensions have no index. */
export const maxIndexed = 4_000

/** An index of this name that is valid can be used; it holds what `indexedVector` says. */
export const vectorIndexName = (dimensions: number) => `chunks_vectors_${dimensions}`

/** The expression that the index is over, for rows of which `cardinality(embedding)` is that many. */
export const indexedVector = (schema: string, dimensions: number) =>
  `(embedding::${schema}.halfvec(${dimensions}))`

type Options = {
  /** Of the database, with the user that migrates it. */
  url: string
  log?: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

/** The first release whose indexes go on looking until enough is found that a condition holds for. */
const oldest = '0.8'

/** Takes the extension into use where the server has it and the user may; null where not. */
export async function openVectorExtension({ url, log }: Options): Promise<VectorExtension | null> {
  const client = new Client({ connectionString: url })
  // A connection that is lost between two statements fails the next one; unheard, this event would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    const found = (await find(client)) ?? ((await create(client, log)) ? await find(client) : undefined)
    if (!found) return null
    const { version, schema, isUsable } = found
    if (!isUsable) {
      log?.warn(
        { version, schema },
        `pgvector is passed over: it is older than ${oldest}, or its schema closed`,
      )
      return null
    }
    log?.info({ version }, 'vectors are found by pgvector')
    return { version, schema, keepIndex: (dimensions) => keepIndex(url, schema, dimensions) }
  } finally {
    await client.end()
  }
}

async function find(client: Client) {
  const { rows } = await client.query<{ version: string; schema: string; isUsable: boolean }>(
    `SELECT e.extversion AS version, quote_ident(n.nspname) AS schema,
       string_to_array(e.extversion, '.')::int[] >= string_to_array($1, '.')::int[]
         AND has_schema_privilege('parley_app', n.oid, 'USAGE') AS "isUsable"
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'`,
    [oldest],
  )
  return rows[0]
}

/** Whether it is there now. */
async function create(client: Client, log: Options['log']): Promise<boolean> {
  const { rowCount } = await client.query("SELECT FROM pg_available_extensions WHERE name = 'vector'")
  if (rowCount === 0) return false
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS vector SCHEMA public')
    return true
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    // Another node was first.
    if (error.code === '23505') return true
    log?.info({ reason: error.message }, 'the server has pgvector: CREATE EXTENSION vector lets it be used')
    return false
  }
}

async function keepIndex(url: string, schema: string, dimensions: number): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'parley vectors' })
  // A connection that breaks fails the statement under way; unheard, the event would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    // What a node began that has died since goes on all the same.
    const building = "SELECT FROM pg_stat_progress_create_index WHERE relid = 'public.chunks'::regclass"
    if ((await client.query(building)).rowCount) return
    const { rows } = await client.query<{ name: string; isValid: boolean }>(
      `SELECT c.relname AS name, i.indisvalid AS "isValid" FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 'public.chunks'::regclass AND c.relname LIKE 'chunks\\_vectors\\_%'`,
    )
    const name = vectorIndexName(dimensions)
    // One whose making was cut off is there, but not valid.
    const isKept = (index: (typeof rows)[number]) => index.name === name && index.isValid
    for (const index of rows)
      if (!isKept(index)) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS public.${index.name}`)
    if (rows.some(isKept)) return
    // Until it has counted, PostgreSQL may take the table for one that is sorted sooner than looked up.
    await client.query('ANALYZE public.chunks')
    await client.query(
      `CREATE INDEX CONCURRENTLY ${name} ON public.chunks
       USING hnsw (${indexedVector(schema, dimensions)} ${schema}.halfvec_ip_ops)
       WHERE cardinality(embedding) = ${dimensions}`,
    )
  } finally {
    await client.end().catch(() => {})
  }
}
