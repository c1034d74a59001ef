import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { beforeAll, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { violationsIn } from '../faults/checker.ts'
import { createNode, type Node } from '../faults/nodes.ts'
import { createReader } from '../faults/reader.ts'
import { readStored } from '../faults/world.ts'
import { createWriter } from '../faults/writer.ts'
import { createDatabase } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { requireCaddy, startCaddy } from '../support/caddy.ts'
import { freePort } from '../support/free-port.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

// What docker-compose.yml and the Caddyfile say, carried out without containers: its commands with its settings behind its
// proxy, with addresses of this machine in place of those of its network.

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const read = (name: string) => readFile(join(root, name), 'utf8')
const secret = 'a secret that only this test knows of'
const areInstalled = [requireCaddy(), requireRedis()].every(Boolean)

type Service = { command?: string[]; environment: Record<string, string | number> }
const nodes: Node[] = []
let port: number
let databaseUrl: string

beforeAll(async () => {
  if (!areInstalled) return
  const { services } = parse(await read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>
  }
  databaseUrl = await createDatabase()
  const redis = await startRedis()
  const here = { database: new URL(databaseUrl), redis: new URL(redis.url) }
  /** The settings of a service, its hosts being here; `PORT` and `HOST` are the containers' own. */
  const settingsOf = (name: string) => {
    const { PORT: _port, HOST: _host, ...named } = services[name]?.environment ?? {}
    const settings = Object.entries(named).map(([key, value]) => {
      const text = String(value).replace(/\$\{(\w+):[-?]([^}]*)\}/g, (_, variable, otherwise) =>
        variable === 'JWT_SECRET' ? secret : otherwise,
      )
      const host = /^\w+:\/\/(?:[^@/]*@)?(\w+)/.exec(text)?.[1]
      const url = host && here[host as keyof typeof here]
      if (host && !url) throw new Error(`${name} names ${host}, which is not a service of this test.`)
      return [key, url ? url.href : text]
    })
    return { ...Object.fromEntries(settings), OLLAMA_BASE_URL: 'http://127.0.0.1:9' } as Record<
      string,
      string
    >
  }
  const run = (command: readonly string[], env: Record<string, string>) =>
    promisify(execFile)(process.execPath, command.slice(1), {
      cwd: root,
      env: { PATH: process.env.PATH, ...env },
    })
  await run(services.migrate?.command ?? [], settingsOf('migrate'))
  await run(['node', 'src/main.ts', 'tenant', 'demo'], settingsOf('server'))
  for (const name of ['server', 'server-2']) {
    const node = await createNode(root, settingsOf(name))
    atEndOfFile(() => node.kill())
    await node.start()
    nodes.push(node)
  }
  port = await freePort()
  const [one, two] = nodes.map((node) => `127.0.0.1:${node.port}`)
  const sites = (await read('Caddyfile')).replace(/^:4000 /m, `http://127.0.0.1:${port} `)
  const placed = sites.replace('server:4000 server-2:4000', `${one} ${two}`)
  expect(placed).not.toMatch(/:4000\b.*\{/)
  await startCaddy(placed)
})

const token = (subject: string) =>
  createTokens(loadConfig({ NODE_ENV: 'production', JWT_SECRET: secret }).auth).sign?.(
    { subject, tenant: 'demo', role: 'USER' },
    { expiresIn: 3_600 },
  ) ?? ''

const createSession =
  'mutation { createSession(input: {}) { ... on CreateSessionPayload { session { id } } } }'

it('words come through the proxy as they are said, as server-sent events too', async () => {
  const writer = createWriter({ token: token('alice'), nextPort: () => port })
  const sessionId = (await writer.run(createSession, {})).createSession.session.id
  const stream = openEventStream(`http://127.0.0.1:${port}`, token('alice'), watchSession, { sessionId })
  await stream.at(0)
  const sentAtMs = performance.now()
  await writer.send(sessionId, 'paced', '/pace 20 /long 40')
  await stream.until(({ __typename }) => __typename === 'TextDelta')
  const firstMs = performance.now() - sentAtMs
  await stream.until(({ __typename }) => __typename === 'RunFinished')
  expect(performance.now() - sentAtMs - firstMs).toBeGreaterThan(1_000)
  stream.cut()
})

it('each node is replaced in its turn, and nobody loses a word', async () => {
  const writer = createWriter({ token: token('bob'), nextPort: () => port })
  const sessionId = (await writer.run(createSession, {})).createSession.session.id
  const readers = ['one', 'two'].map((name) =>
    createReader({ name, sessionId, token: token('bob'), nextPort: () => port }),
  )
  await vi.waitFor(() => expect(readers.every(({ cursor }) => cursor !== null)).toBe(true), patience)
  let isOver = false
  const sending = (async () => {
    for (let count = 0; !isOver; count += 1) {
      await writer.send(sessionId, `send ${count}`, '/pace 25 /long 20')
      // So long is a reply: one is always under way, and few wait.
      await sleep(1_800)
    }
  })()
  for (const node of nodes) {
    // A reply has begun.
    await sleep(1_500)
    expect(await node.terminate()).toBe(0)
    await node.start()
    // The proxy takes it back within a second or two.
    await sleep(2_500)
  }
  isOver = true
  await sending
  const rows = <Row extends object>(sql: string, values: unknown[] = []) =>
    query<Row & Record<string, unknown>>(databaseUrl, sql, { values })
  await vi.waitFor(async () => {
    const evidence = {
      observations: readers.map(({ observations }) => observations),
      acknowledged: writer.acknowledged,
      sessions: [await readStored(rows, sessionId)],
      calls: [],
      freezes: [],
      sessionOf: new Map(readers.map(({ observations }) => [observations[0]?.reader ?? '', sessionId])),
      areReadersComplete: true,
    }
    expect(violationsIn(evidence)).toEqual([])
    expect(new Set(evidence.sessions[0]?.runs.map(({ status }) => status))).toEqual(new Set(['COMPLETED']))
  }, patience)
  // Each was at one of them, and had to go.
  for (const { attachments } of readers) expect(attachments).toBeGreaterThan(1)
  expect(writer.acknowledged.length).toBeGreaterThan(3)
  for (const reader of readers) await reader.stop()
})
