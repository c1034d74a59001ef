import { Redis, type RedisOptions } from 'ioredis'
import { faultOf } from '../lib/old-servers.ts'

/** Two connections to one Redis, as a connection that is subscribed takes no other command. */
export type RedisConnection = {
  /**
   * Runs a script that `scripts` names. Fails at once while Redis is away and after a second without an answer; then
   * it may have been done all the same.
   */
  run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** Resolves when messages of these channels come. */
  subscribe(channels: readonly string[]): Promise<void>
  unsubscribe(channel: string): void
  /** Tells a server that restarted from the one before it; asked for once per connection. */
  serverRun(): Promise<string>
  /** Asks both connections for a sign of life, and cuts one that gave none for five turns. */
  beat(): Promise<void>
  isReachable(): boolean
  close(): Promise<void>
}

export type RedisLog = Record<'info' | 'warn', (fields: object, message: string) => void>

type Options = {
  url: string
  scripts: Readonly<Record<string, string>>
  log: RedisLog
  onMessage(channel: string, message: string): void
  /** A connection is there again: subscriptions are gone, and messages were lost. */
  onReconnect(): void
}

const commandTimeoutMs = 1_000
const connectTimeoutMs = 2_000
const firstRetryMs = 100
const longestRetryMs = 2_000
const silentBeatsAtMost = 5

/** Resolves when both connections stand; rejects, with the reason, where Redis cannot be reached. */
export async function connectRedis(options: Options): Promise<RedisConnection> {
  const address = addressOf(options.url)
  const state = createState(address, options.log)
  const commands = state.add(new Redis(options.url, { ...settings, connectionName: 'parley' }))
  const subscriber = state.add(new Redis(options.url, { ...settings, connectionName: 'parley-push' }))
  const call = createCall(address)
  const scripts = commands.redis as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  for (const [name, lua] of Object.entries(options.scripts)) commands.redis.defineCommand(name, { lua })

  let run: Promise<string> | undefined
  commands.redis.on('close', () => {
    run = undefined
  })
  subscriber.redis.on('message', options.onMessage)
  await open(address, [commands.redis, subscriber.redis])
  for (const { redis } of [commands, subscriber]) redis.on('ready', options.onReconnect)

  return {
    run: (script, keys, args) =>
      call(commands, () => scripts[script]?.call(scripts, keys.length, ...keys, ...args) as Promise<unknown>),
    async subscribe(channels) {
      await call(subscriber, () => subscriber.redis.subscribe(...channels))
    },
    unsubscribe(channel) {
      // Where it fails the connection is gone, and its subscriptions with it.
      subscriber.redis.unsubscribe(channel).catch(() => {})
    },
    serverRun() {
      run ??= call(commands, () => readRun(commands.redis, options.log)).catch((error) => {
        run = undefined
        throw error
      })
      return run
    },
    async beat() {
      const beatOne = async (link: Link) => {
        await call(link, () => link.redis.ping()).catch(() => {})
        if (!link.isSilent) return
        link.silentBeats += 1
        if (link.silentBeats >= silentBeatsAtMost) link.cut()
      }
      await Promise.all([commands, subscriber].map(beatOne))
    },
    isReachable: state.isReachable,
    async close() {
      state.close()
      await Promise.all([commands, subscriber].map(({ redis }) => quit(redis)))
    },
  }
}

const settings: RedisOptions = {
  lazyConnect: true,
  disableClientInfo: true,
  connectTimeout: connectTimeoutMs,
  commandTimeout: commandTimeoutMs,
  // A call fails rather than waits or happens twice; subscriptions are renewed by the broker, which knows them.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResubscribe: false,
  disconnectTimeout: 500,
  // A primary that became a replica would refuse every append for as long as the connection stands.
  reconnectOnError: ({ message }) => message.startsWith('READONLY'),
  retryStrategy: (attempt) =>
    Math.min(longestRetryMs, firstRetryMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2),
}

type Link = {
  readonly redis: Redis
  /** The last call timed out. */
  isSilent: boolean
  /** How often in turn it was found so. */
  silentBeats: number
  answered(): void
  timedOut(): void
  cut(): void
}

/** Whether Redis is there, told to the log once when it goes and once when it comes. */
function createState(address: string, log: RedisLog) {
  const links: Link[] = []
  let awaySince: number | undefined
  let reason = 'the connection was closed'
  let isClosing = false
  let isOpen = false

  const isReachable = () => links.every(({ redis, isSilent }) => redis.status === 'ready' && !isSilent)

  const review = () => {
    if (isReachable()) {
      isOpen = true
      if (awaySince !== undefined)
        log.info({ redis: address, awayMs: Date.now() - awaySince }, 'Redis is back')
      awaySince = undefined
    } else if (isOpen && !isClosing && awaySince === undefined) {
      awaySince = Date.now()
      log.warn({ redis: address, reason }, 'Redis is away: live feeds wait until it is back')
    }
  }

  return {
    isReachable,
    add(redis: Redis): Link {
      const link: Link = {
        redis,
        isSilent: false,
        silentBeats: 0,
        answered() {
          link.isSilent = false
          link.silentBeats = 0
          if (awaySince !== undefined) review()
        },
        timedOut() {
          link.isSilent = true
          reason = `no answer within ${commandTimeoutMs} ms`
          review()
        },
        cut() {
          link.silentBeats = 0
          redis.disconnect(true)
        },
      }
      links.push(link)
      redis.on('ready', () => link.answered())
      redis.on('ready', review)
      redis.on('error', (error: Error) => {
        reason = error.message
      })
      redis.on('close', review)
      return link
    },
    close() {
      isClosing = true
    },
  }
}

const createCall =
  (address: string) =>
  async <T>(link: Link, send: () => Promise<T>): Promise<T> => {
    if (link.redis.status !== 'ready') throw new Error(`Redis at ${address} cannot be reached.`)
    try {
      const answer = await send()
      link.answered()
      return answer
    } catch (cause) {
      const { name, message } = cause as Error
      if (name === 'ReplyError') {
        link.answered()
        throw new Error(`Redis at ${address} refused a call: ${message}`, { cause })
      }
      const isTimeout = message === 'Command timed out'
      if (isTimeout) link.timedOut()
      const what = isTimeout ? `gave no answer within ${commandTimeoutMs} ms` : 'was lost before its answer'
      throw new Error(`Redis at ${address} ${what}; the call may have been done all the same.`, { cause })
    }
  }

async function open(address: string, connections: Redis[]) {
  // The error event has the reason; the failed promise says only that the connection was closed.
  let reason: Error | undefined
  const note = (error: Error) => {
    reason ??= error
  }
  for (const redis of connections) redis.on('error', note)
  const opened = await Promise.allSettled(connections.map((redis) => redis.connect()))
  const failed = opened.find((result) => result.status === 'rejected')
  if (failed || reason) {
    for (const redis of connections) redis.disconnect()
    const cause: Error = reason ?? failed?.reason
    throw new Error(`Redis at ${address} (REDIS_URL) cannot be reached: ${cause.message || cause}`, { cause })
  }
  for (const redis of connections) redis.off('error', note)
}

/** Empty where the server does not tell. */
async function readRun(redis: Redis, log: RedisLog): Promise<string> {
  const info = await redis.info('server').catch((error: Error) => {
    if (error.message.startsWith('NOPERM')) return ''
    throw error
  })
  const fieldOf = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  // Valkey names the Redis that it came from.
  const fault = fieldOf('valkey_version') ? null : faultOf('Redis', fieldOf('redis_version') ?? '')
  if (fault) log.warn({}, fault)
  return fieldOf('run_id') ?? ''
}

async function quit(redis: Redis) {
  const isReady = redis.status === 'ready'
  // Not `once` of Node, which fails with an error event: one may come while nobody waits for this.
  const ended = new Promise((resolve) => redis.once('end', resolve))
  try {
    await redis.quit()
    await ended
  } catch {
    redis.disconnect()
    // Nothing is there to end while it waits to connect again.
    if (isReady) await ended
  }
}

function addressOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || 6379}`
}
