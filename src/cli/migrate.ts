import { type Config, loadConfig } from '../config.ts'
import { startEmbeddedDatabase } from '../db/embedded.ts'
import { migrate } from '../db/migrate.ts'
import { setSearchLanguage } from '../db/search-language.ts'
import { openVectorExtension } from '../db/vectors.ts'

/** Brings the configured database up to date and prints what was applied. */
export async function run(args: string[]): Promise<void> {
  if (args.length > 0) throw new Error('migrate takes no arguments: DATABASE_URL names the database.')
  const { url, dataDir, ...settings } = loadConfig().database
  if (url) return bringUpToDate(url, settings)

  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) }
  const embedded = await startEmbeddedDatabase({ dataDir, log })
  try {
    await bringUpToDate(embedded.url, settings)
  } finally {
    await embedded.stop()
  }
}

async function bringUpToDate(
  url: string,
  { searchLanguage: language, usesPgvector }: Pick<Config['database'], 'searchLanguage' | 'usesPgvector'>,
): Promise<void> {
  const { applied } = await migrate({ url, log: { warn: (_, message) => console.error(message) } })
  for (const name of applied) console.log(`applied ${name}`)
  const isReindexed = await setSearchLanguage({ url, language })
  if (isReindexed) console.log(`indexed every message anew for searches in ${language}`)
  const extension = usesPgvector ? await openVectorExtension({ url }) : null
  if (extension) console.log(`pgvector ${extension.version} is in use`)
  console.log(`The database ${applied.length > 0 || isReindexed ? 'is' : 'was'} up to date.`)
}
