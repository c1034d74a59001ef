/**
 * Parley as it is deployed: users who signed in, real sessions, real runs that a provider streams and the database
 * keeps. Only the provider is the bench's, and the limits are those that so many readers of one machine need.
 */
import { Client } from 'pg'
import { startApp } from '../../../../src/app.ts'
import { loadConfig } from '../../../../src/config.ts'
import { createLog } from '../../../../src/telemetry/log.ts'
import { type Opened, type Publisher, type Statements, serveControl } from '../control.ts'
import { createBenchProvider, type Speech } from './provider.ts'

const statements = countStatements()
const { provider, reading } = createBenchProvider()
const config = loadConfig()
const app = await startApp(config, { log: createLog(config.log, false), providers: [provider] })
process.on('SIGTERM', () => void app.stop(0).then(() => process.exit(0)))
serveControl(createPublisher())

/** How many sessions a user has: as many as sockets that one user may be expected to open. */
const sessionsPerUser = 10
const usersAtOnce = 8
const startTimeoutMs = 20_000

function createPublisher(): Publisher {
  let generation = 0
  let speeches: Speech[] = []
  return {
    async open({ streams, followers, isIdle }) {
      generation += 1
      const owners = Math.ceil(streams / sessionsPerUser)
      const opened: Opened['streams'] = []
      const all = Array.from({ length: streams }, (_, index) => `${generation}-${index}`)
      const openOwned = async (owner: number) => {
        for (const [place, name] of all
          .slice(owner * sessionsPerUser, (owner + 1) * sessionsPerUser)
          .entries())
          opened[owner * sessionsPerUser + place] = await openStream(
            name,
            `owner-${owner}`,
            followers,
            isIdle,
          )
      }
      const waiting = Array.from({ length: owners }, (_, owner) => owner)
      const work = async () => {
        for (let owner = waiting.shift(); owner !== undefined; owner = waiting.shift()) await openOwned(owner)
      }
      await Promise.all(Array.from({ length: usersAtOnce }, work))
      const begun = Promise.all(isIdle ? [] : all.map(reading))
      speeches = await within(startTimeoutMs, begun, 'Not every run was started')
      return { streams: opened }
    },
    publish: (stream, text) => speeches[stream]?.say(text),
    async close() {
      for (const speech of speeches.splice(0)) speech.end()
      await untilRunsEnded()
    },
    statements,
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>, failure: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${failure} within ${timeoutMs} ms.`)), timeoutMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

async function openStream(name: string, owner: string, followers: number, isIdle: boolean) {
  const { session } = await mutate(owner, 'createSession', {}, 'session { id }')
  const others = Array.from({ length: followers - 1 }, (_, index) => `follower-${index}`)
  for (const externalUserId of others) {
    const input = { sessionId: session.id, externalUserId, role: 'VIEWER' }
    await mutate(owner, 'addParticipant', input, 'user { id }')
  }
  if (!isIdle) {
    const input = { sessionId: session.id, content: name, model: 'bench:stream' }
    await mutate(owner, 'sendMessage', input, 'run { id }')
  }
  return { id: session.id as string, tokens: [owner, ...others].map(tokenOf) }
}

const tokens = new Map<string, string>()

function tokenOf(subject: string): string {
  const token =
    tokens.get(subject) ?? app.tokens.sign?.({ subject, tenant: 'demo', role: 'USER' }, { expiresIn: '6h' })
  if (!token) throw new Error('The app cannot sign tokens.')
  tokens.set(subject, token)
  return token
}

async function mutate(user: string, name: string, input: object, fields: string) {
  const type = name.charAt(0).toUpperCase() + name.slice(1)
  const query = `mutation Bench($input: ${type}Input!) { ${name}(input: $input) {
    ... on ${type}Payload { ${fields} } ... on Error { code message } } }`
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokenOf(user)}` },
    body: JSON.stringify({ query, variables: { input } }),
  })
  const { data, errors } = await response.json()
  if (errors || data[name].code) throw new Error(`${name} failed: ${JSON.stringify(errors ?? data[name])}`)
  return data[name]
}

async function untilRunsEnded(): Promise<void> {
  const client = new Client({ connectionString: config.database.url })
  await client.connect()
  try {
    for (;;) {
      const { rows } = await client.query("SELECT FROM runs WHERE status = 'RUNNING' LIMIT 1")
      if (rows.length === 0) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  } finally {
    await client.end()
  }
}

/** Counts at the driver, which Prisma's queries and the prepared ones both go through. */
function countStatements(): () => Statements {
  let byName: Record<string, number> = {}
  const send = Client.prototype.query as (this: Client, ...args: unknown[]) => unknown
  Client.prototype.query = function (this: Client, ...args: unknown[]) {
    const [given] = args as [string | { name?: string; text?: string }]
    const text = typeof given === 'string' ? given : given.text
    const name =
      (typeof given === 'string' ? null : given.name) ?? text?.replace(/\s+/g, ' ').slice(0, 60) ?? ''
    // Checkpoints and the queue of jobs go on by the clock, whatever is measured.
    if (!name.startsWith('run-beat') && !/\bjobs\./.test(text ?? '')) byName[name] = (byName[name] ?? 0) + 1
    return send.apply(this, args)
  } as never
  return () => {
    const counted = byName
    byName = {}
    return { count: Object.values(counted).reduce((sum, count) => sum + count, 0), byName: counted }
  }
}
