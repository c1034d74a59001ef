import { readFile } from 'node:fs/promises'
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils'
import { type DiffTarget, SchemaEngine } from '@prisma/schema-engine-wasm'

/** Today's schema, as text. */
export const readSchema = () => readFile(new URL('schema.prisma', import.meta.url), 'utf8')

/**
 * The SQL that takes a database from the Prisma schema `from` (an empty database where undefined) to the schema `to`;
 * undefined when there is nothing to do. Compares texts: no database takes part.
 */
export async function diffSchemas(from: string | undefined, to: string): Promise<string | undefined> {
  const engine = await SchemaEngine.new(
    { datamodels: [['schema.prisma', to]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory(noDatabase),
  )
  const { stdout } = await engine.diff({
    from: from === undefined ? { tag: 'empty' } : datamodel(from),
    to: datamodel(to),
    script: true,
    exitCode: null,
    filters: { externalTables: [], externalEnums: [] },
  })
  engine.free()
  // A diff without statements comes as one comment.
  return stdout && /^[^-\s]/m.test(stdout) ? stdout : undefined
}

const datamodel = (content: string): DiffTarget => ({
  tag: 'schemaDatamodel',
  files: [{ path: 'schema.prisma', content }],
})

// The engine insists on a connection even to compare two texts. All it asks there is whether the schema `public`
// exists and which PostgreSQL answers; the oldest supported one keeps the SQL fit for every later one.
const refuse = () => Promise.reject(new Error('Comparing two schemas needs no database.'))
const connection: SqlDriverAdapter = {
  provider: 'postgres',
  adapterName: 'no-database',
  queryRaw: async () => ({
    columnNames: ['exists', 'version', 'numeric_version'],
    columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
    rows: [[true, 'PostgreSQL 15.0', 150000]],
  }),
  executeRaw: refuse,
  executeScript: refuse,
  startTransaction: refuse,
  getConnectionInfo: () => ({ supportsRelationJoins: true }),
  dispose: async () => {},
}
const noDatabase: SqlMigrationAwareDriverAdapterFactory = {
  provider: 'postgres',
  adapterName: 'no-database',
  connect: async () => connection,
  connectToShadowDb: async () => connection,
}
