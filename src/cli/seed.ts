import { parseArgs } from 'node:util'
import { type Config, loadConfig } from '../config.ts'
import { createDatabase, type SystemDatabase } from '../db/client.ts'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../db/embedded.ts'
import { migrate } from '../db/migrate.ts'
import { createAccounts } from '../features/accounts/service.ts'
import { type BulkSize, seedBulk } from './seed/bulk.ts'
import { type Seeded, seedDemo } from './seed/demo.ts'
import { createProgress } from './seed/progress.ts'

const usage =
  'Usage: npm run seed [-- --force], or npm run seed -- --sessions 100000 --messages 1000000 [--users 1000] [--force]'

/**
 * Fills the tenant `demo` with conversations to look at or, with `--sessions`, the tenant `bulk` with as many as are
 * asked for. Safe to repeat: what is there stays and is not stored again.
 */
export async function run(args: string[]): Promise<void> {
  const { bulk, force } = parse(args)
  const config = loadConfig()
  if (config.isProduction && !force)
    throw new Error(
      'This stores made-up conversations, and NODE_ENV is production: say --force if you mean it.',
    )
  const embedded = config.database.url ? undefined : await startEmbedded(config.database.dataDir)
  try {
    await seed(config, config.database.url ?? embedded?.url ?? '', bulk)
  } finally {
    await embedded?.stop()
  }
}

function parse(args: string[]): { bulk: BulkSize | undefined; force: boolean } {
  const text = { type: 'string' } as const
  const options = { sessions: text, messages: text, users: text, force: { type: 'boolean' } } as const
  try {
    const { force = false, ...values } = parseArgs({ args, options }).values
    if (Object.keys(values).length === 0) return { bulk: undefined, force }
    const sessions = count('sessions', values.sessions)
    const messages = count('messages', values.messages ?? String(sessions * 10))
    const users = count('users', values.users ?? '1000')
    return { bulk: { sessions, messages, users }, force }
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${usage}`)
  }
}

function count(name: string, text = ''): number {
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value > 0) return value
  throw new Error(`--${name} ${text} is not a number; allowed is 1 to 999999999.`)
}

/** Where a server has the data folder, seeding beside it is refused: there is one Parley to an embedded database. */
async function startEmbedded(dataDir: string): Promise<EmbeddedDatabase> {
  try {
    return await startEmbeddedDatabase({ dataDir, log: { info: () => {}, warn: () => {} } })
  } catch (error) {
    throw new Error(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

async function seed(config: Config, url: string, bulk: BulkSize | undefined): Promise<void> {
  await migrate({ url })
  const onError = (error: Error) => console.error(error.message)
  // One statement stores thousands of rows: it may take its time.
  const database = createDatabase({ ...config.database, url, statementTimeoutMs: 600_000, onError })
  try {
    const accounts = createAccounts({ database, autoCreateTenants: false })
    const [slug, name] = bulk ? ['bulk', 'Bulk'] : ['demo', 'Demo']
    const { id } = await accounts.ensureTenant(slug, name)
    const startedAt = performance.now()
    const seeded = bulk
      ? await seedWithProgress(database.system, id, bulk)
      : await seedDemo(database.system, id, new Date())
    console.log(report(slug, seeded, (performance.now() - startedAt) / 1_000))
  } finally {
    await database.close()
  }
}

function seedWithProgress(system: SystemDatabase, tenantId: string, bulk: BulkSize): Promise<Seeded> {
  return seedBulk(system, tenantId, bulk, (size) => createProgress('sessions', size, process.stdout).reach)
}

function report(slug: string, { sessions, messages }: Seeded, seconds: number): string {
  if (sessions === 0) return `The tenant ${slug} has it all already: nothing was stored.`
  const stored = `Stored ${sessions.toLocaleString('en')} sessions with ${messages.toLocaleString('en')} messages in the tenant ${slug}, in ${seconds.toFixed(1)} s`
  const perMillion = (seconds / messages) * 1_000_000
  return messages >= 10_000 ? `${stored} (${perMillion.toFixed(0)} s per million).` : `${stored}.`
}
