import { loadConfig } from '../config.ts'
import { startEmbeddedDatabase } from '../db/embedded.ts'
import { migrate } from '../db/migrate.ts'
import { setSearchLanguage } from '../db/search-language.ts'

/** Brings the configured database up to date and prints what was applied. */
export async function run(args: string[]): Promise<void> {
  if (args.length > 0) throw new Error('migrate takes no arguments: DATABASE_URL names the database.')
  const { url, dataDir, searchLanguage } = loadConfig().database
  if (url) return bringUpToDate(url, searchLanguage)

  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) }
  const embedded = await startEmbeddedDatabase({ dataDir, log })
  try {
    await bringUpToDate(embedded.url, searchLanguage)
  } finally {
    await embedded.stop()
  }
}

async function bringUpToDate(url: string, language: string): Promise<void> {
  const { applied } = await migrate({ url })
  for (const name of applied) console.log(`applied ${name}`)
  const isReindexed = await setSearchLanguage({ url, language })
  if (isReindexed) console.log(`indexed every message anew for searches in ${language}`)
  console.log(`The database ${applied.length > 0 || isReindexed ? 'is' : 'was'} up to date.`)
}
