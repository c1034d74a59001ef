import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'
import { createGate } from '../../src/lib/async.ts'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import { noRates } from '../support/no-rates.ts'
import { query } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import type { StoredSession } from './history.ts'
import { createFaultModel, type FaultModel } from './model.ts'
import { createNetwork, type Network } from './network.ts'
import { createNode, type Node } from './nodes.ts'
import { createReader, type Reader } from './reader.ts'
import { createWriter, type Writer } from './writer.ts'

/**
 * A whole installation in processes of its own: nodes on one PostgreSQL and one Redis, each behind a network that can
 * be cut, and a model at the other side. Everything in it can be killed, frozen and brought back.
 */
export type World = {
  readonly nodes: readonly Node[]
  readonly networks: readonly Network[]
  readonly redis: Awaited<ReturnType<typeof startRedis>>
  /** Between the nodes and Redis. */
  readonly redisNetwork: Network
  readonly model: FaultModel
  /** Kills PostgreSQL, all of its processes; it comes back by itself within some seconds. */
  killPostgres(): Promise<void>
  token(user: string, role?: 'USER' | 'ADMIN'): string
  writer(user: string): Writer
  /** Through the networks, a random node at each attempt. */
  reader(name: string, user: string, sessionId: string): Reader
  createSession(user: string): Promise<string>
  stored(sessionId: string): Promise<StoredSession>
  /** Rows of the database, read past the product. */
  rows<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>
  stop(): Promise<void>
}

type Options = {
  nodes?: number
  /** Where the sources are that the nodes run; one for all, or one for each. */
  root?: string | readonly string[]
  /** False: PostgreSQL says that it has committed before it has. */
  isDurable?: boolean | undefined
  env?: Record<string, string>
  pick: (count: number) => number
}

const checkout = join(import.meta.dirname, '../..')

export async function createWorld({
  nodes: count = 2,
  root = checkout,
  isDurable = true,
  env = {},
  pick,
}: Options): Promise<World> {
  const opened: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const close of opened.splice(0).reverse()) await close()
  }
  try {
    const postgres = await openPostgres(opened)
    if (!isDurable) await query(postgres.url, 'ALTER DATABASE parley SET synchronous_commit = off')
    const redis = await startRedis()
    opened.push(() => redis.stop())
    const redisNetwork = await createNetwork(() => redis.port)
    opened.push(() => redisNetwork.close())
    const model = await createFaultModel()
    opened.push(() => model.close())
    const settings = {
      DATABASE_URL: postgres.url,
      REDIS_URL: `redis://127.0.0.1:${redisNetwork.port}`,
      DEFAULT_MODEL: 'compatible:fault',
      OLLAMA_BASE_URL: 'http://127.0.0.1:9',
      RUNS_PER_USER: '1000',
      RUNS_PER_TENANT: '1000',
      CONNECTIONS_PER_USER: '1000',
      ...noRates,
      // A frozen node is taken over within a test's time.
      RUN_LEASE_MS: '2000',
      RUN_CHECKPOINT_MS: '400',
      ...env,
    }
    const nodes: Node[] = []
    const networks: Network[] = []
    for (let index = 0; index < count; index += 1) {
      const sources = typeof root === 'string' ? root : (root[index] ?? checkout)
      const node = await createNode(sources, { COMPATIBLE_BASE_URL: model.url(index), ...settings })
      opened.push(() => node.kill())
      await node.start()
      const network = await createNetwork(() => node.port)
      opened.push(() => network.close())
      nodes.push(node)
      networks.push(network)
    }
    const tokens = createTokens(loadConfig({ NODE_ENV: 'test' }).auth)
    const token: World['token'] = (subject, role = 'USER') =>
      tokens.sign?.({ subject, tenant: 'demo', role }, { expiresIn: 7_200 }) ?? ''
    const nextPort = () => (networks[pick(count)] as Network).port
    // Each has a connection of its own, and the nodes need some, too.
    const inLine = createGate(20)
    const rows = <Row extends object>(sql: string, values: unknown[] = []) =>
      inLine(() => query<Row & Record<string, unknown>>(postgres.url, sql, { values }))
    const writer = (user: string) => createWriter({ token: token(user), nextPort })
    return {
      ...{ nodes, networks, redis, redisNetwork, model, rows, token, writer, stop },
      killPostgres: postgres.kill,
      reader: (name, user, sessionId) => createReader({ name, sessionId, token: token(user), nextPort }),
      async createSession(user) {
        const { createSession } = await writer(user).run(
          'mutation { createSession(input: {}) { ... on CreateSessionPayload { session { id } } } }',
          {},
        )
        return createSession.session.id
      },
      stored: (sessionId) => readStored(rows, sessionId),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function openPostgres(opened: (() => Promise<unknown>)[]) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-faults-')))
  // Run by root, PostgreSQL runs as another user, who must get in.
  await chmod(folder, 0o711)
  opened.push(() => rm(folder, { recursive: true, force: true }))
  const { url, dataDir, stop } = await startEmbeddedDatabase({
    dataDir: folder,
    log: { info: () => {}, warn: () => {} },
  })
  opened.push(stop)
  return {
    url,
    async kill() {
      const pid = Number((await readFile(join(dataDir, 'data/postmaster.pid'), 'utf8')).split('\n')[0])
      process.kill(pid, 'SIGKILL')
      for (;;) {
        await sleep(100)
        const isBack = await query(url, 'SELECT 1').then(
          () => true,
          () => false,
        )
        if (isBack) return
      }
    },
  }
}

export async function readStored(rows: World['rows'], sessionId: string): Promise<StoredSession> {
  const { uuid } = decodeId(sessionId)
  type MessageRow = {
    id: string
    seq: number
    role: string
    status: string
    content: string
    clientId: string
  }
  const messages = await rows<MessageRow>(
    `SELECT id, seq, role, status, content, client_id AS "clientId" FROM messages WHERE session_id = $1 ORDER BY seq`,
    [uuid],
  )
  type RunRow = { id: string; status: string; finishedAt: Date | null; userMessageId: string }
  const runs = await rows<RunRow>(
    `SELECT id, status, finished_at AS "finishedAt", user_message_id AS "userMessageId" FROM runs
      WHERE session_id = $1 ORDER BY id`,
    [uuid],
  )
  return {
    id: sessionId,
    messages: messages.map((message) => ({ ...message, id: encodeId('Message', message.id) })),
    runs: runs.map(({ id, status, finishedAt, userMessageId }) => ({
      ...{ id: encodeId('Run', id), status, userMessageId: encodeId('Message', userMessageId) },
      finishedAt: finishedAt?.toISOString() ?? null,
    })),
  }
}
