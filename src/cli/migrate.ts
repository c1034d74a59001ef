import { loadConfig } from '../config.ts'
import { startEmbeddedDatabase } from '../db/embedded.ts'
import { migrate } from '../db/migrate.ts'

/** Brings the configured database up to date and prints what was applied. */
export async function run(args: string[]): Promise<void> {
  if (args.length > 0) throw new Error('migrate takes no arguments: DATABASE_URL names the database.')
  const { url, dataDir } = loadConfig().database
  if (url) return report(await migrate({ url }))

  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) }
  const embedded = await startEmbeddedDatabase({ dataDir, log })
  try {
    report(await migrate({ url: embedded.url }))
  } finally {
    await embedded.stop()
  }
}

function report({ applied }: { applied: string[] }): void {
  for (const name of applied) console.log(`applied ${name}`)
  console.log(applied.length > 0 ? 'The database is up to date.' : 'The database was up to date.')
}
