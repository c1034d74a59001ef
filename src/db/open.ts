import type { Config } from '../config.ts'
import { createDatabase, type Database } from './client.ts'
import { startEmbeddedDatabase } from './embedded.ts'
import { migrate } from './migrate.ts'
import { setSearchLanguage } from './search-language.ts'
import { openVectorExtension } from './vectors.ts'

type Log = Parameters<typeof startEmbeddedDatabase>[0]['log'] & {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Opens the database that is set, or the embedded one, brought up to date. What was opened is told to `opened`. */
export async function openDatabase(
  config: Config,
  log: Log,
  opened: (() => Promise<void>)[],
): Promise<{ database: Database; url: string; isOnlyNode: boolean }> {
  const embedded = config.database.url
    ? undefined
    : await startEmbeddedDatabase({ dataDir: config.database.dataDir, log })
  if (embedded) opened.push(() => embedded.stop())
  const url = config.database.url ?? embedded?.url ?? ''
  const { applied } = await migrate({ url, log: { warn: (fields, message) => log.warn(fields, message) } })
  if (applied.length > 0) log.info({ applied }, 'the database was brought up to date')
  const { searchLanguage: language, ...settings } = config.database
  if (await setSearchLanguage({ url, language }))
    log.info({ language }, 'messages were indexed anew for search')
  const onError = (error: Error) => log.warn({ err: error }, 'a database connection was lost')
  const onSlow = (statement: string) => log.warn({ statement }, 'a statement took longer than it may')
  const vectors = config.database.usesPgvector ? await openVectorExtension({ url, log }) : null
  const database = createDatabase({ ...settings, url, onError, onSlow, vectors })
  opened.push(() => database.close())
  // The embedded database is locked for this process: nobody else can be answering anything in it.
  return { database, url, isOnlyNode: embedded !== undefined }
}
