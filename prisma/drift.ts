import { Client } from 'pg'
import { migrate } from '../src/db/migrate.ts'
import { diffSchemas } from './schema-diff.ts'

/**
 * The differences between what a Prisma schema describes and what the migrations in `directory` build, a line each.
 * Both are built on the server at `url`, a superuser's, in databases of their own. Row-level security, roles, grants,
 * check constraints, partial indexes, deferrability, extensions and what `byHand` names are for migrations alone to say;
 * all else must be the same.
 */
export async function findDrift(url: string, schema: string, directory: string): Promise<string[]> {
  const described = await buildCatalog(url, 'drift_schema', async (client) => {
    await client.query((await diffSchemas(undefined, schema)) ?? '')
  })
  const migrated = await buildCatalog(url, 'drift_migrations', async (_, databaseUrl) => {
    await migrate({ url: databaseUrl, directory })
  })
  for (const name of byHand) described.set(name, migrated.get(name) ?? 'by hand')
  return [...new Set([...described.keys(), ...migrated.keys()])].sort().flatMap((name) => {
    const [wanted, found] = [described.get(name), migrated.get(name)]
    if (wanted === found) return []
    if (found === undefined) return `${name}: in the schema, not in the migrations`
    if (wanted === undefined) return `${name}: in the migrations, not in the schema`
    return `${name}: ${wanted} in the schema, ${found} in the migrations`
  })
}

/** Triggers, and functions that they and indexes call, must be there; no schema can describe them. */
const byHand = [
  'function keep_session_title()',
  'function title_parts(text)',
  'trigger keep_changed_title',
  'trigger keep_new_title',
  'function note_usage_change(uuid,timestamp with time zone)',
  'function usage_changed()',
  'function usage_changed_with_session()',
  'trigger usage_changed_by_insert',
  'trigger usage_changed_by_update',
  'trigger usage_changed_by_delete',
]

type Build = (client: Client, url: string) => Promise<void>

async function buildCatalog(serverUrl: string, name: string, build: Build): Promise<Map<string, string>> {
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  await withClient(serverUrl, (client) => client.query(`CREATE DATABASE ${name}`))
  try {
    return await withClient(url, async (client) => {
      await build(client, url)
      const { rows } = await client.query<{ name: string; definition: string }>(catalog)
      return new Map(rows.map((row) => [row.name, row.definition]))
    })
  } finally {
    await withClient(serverUrl, (client) => client.query(`DROP DATABASE ${name}`))
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** Every object of the schema `public`, in PostgreSQL's own words, but for what is the migrations' alone. */
const catalog = `
  WITH relation AS (
    SELECT oid, relname, relkind FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_prisma\\_migrations%'
  )
  SELECT CASE relkind WHEN 'r' THEN 'table ' WHEN 'S' THEN 'sequence ' ELSE 'relation ' END || relname AS name,
    relkind::text AS definition
  FROM relation WHERE relkind NOT IN ('i', 'I')
  UNION ALL
  SELECT format('column %s.%s', relname, attname),
    concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
      'DEFAULT ' || pg_get_expr(adbin, adrelid), nullif(attidentity, ''), nullif(attgenerated, ''),
      'COLLATE ' || (SELECT collname FROM pg_collation WHERE oid = attcollation AND collname <> 'default'))
  FROM relation JOIN pg_attribute ON attrelid = relation.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT format('constraint %s of %s', conname, relname),
    regexp_replace(pg_get_constraintdef(c.oid), ' (NOT )?DEFERRABLE| INITIALLY (DEFERRED|IMMEDIATE)', '', 'g')
  FROM relation JOIN pg_constraint c ON conrelid = relation.oid
  WHERE contype IN ('p', 'u', 'f', 'x')
  UNION ALL
  SELECT 'index ' || relname, pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END
  FROM relation JOIN pg_index ON indexrelid = relation.oid
  WHERE indpred IS NULL
  UNION ALL
  SELECT 'trigger ' || tgname, pg_get_triggerdef(t.oid)
  FROM relation JOIN pg_trigger t ON tgrelid = relation.oid WHERE NOT tgisinternal
  UNION ALL
  SELECT 'type ' || typname,
    coalesce((SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), typtype::text)
  FROM pg_type t WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r')
  UNION ALL
  SELECT 'function ' || oid::regprocedure, md5(pg_get_functiondef(oid))
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')`
