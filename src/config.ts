import { z } from 'zod'
import { arrangeModels, modelSettings } from './lib/model-settings.ts'
import { arrangeOperations, operationSettings } from './lib/operation-settings.ts'
import { arrangeRates, rateSettings } from './lib/rate-settings.ts'
import { arrangeReaders, readerSettings } from './lib/reader-settings.ts'
import { arrangeRuns, runSettings } from './lib/run-settings.ts'
import { address, flag, modelId, oneOf, origins, whole } from './lib/setting-kinds.ts'

/**
 * The one reader of the environment. `loadConfig` validates everything at once and throws a `ConfigError` that
 * lists every fault; what it returns is frozen. `.env.example` says in prose what each setting does.
 */
export type Config = ReturnType<typeof arrange>

/** `faults` are whole sentences: the setting's name, what is wrong with its value, what is allowed. */
export class ConfigError extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n  - ${faults.join('\n  - ')}`,
    )
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** Signs tokens where nobody set a secret; known to everybody, hence refused in production. */
export const developmentSecret = 'parley-development-secret-do-not-use-in-production'

const settings = z.object({
  NODE_ENV: oneOf(['development', 'production', 'test'], 'development'),
  HOST: z.string().default('127.0.0.1'),
  PORT: whole(4000, 0, 65_535),
  DATA_DIR: z.string().default('.data'),
  CORS_ORIGINS: origins.default([]),
  COOKIE_SIGN_IN: flag.default(false),
  CHAT_PAGE: flag.default(true),
  GRAPHIQL: flag.optional(),
  INTROSPECTION: z
    .enum(['everybody', 'signed_in', 'nobody'], 'is unknown; allowed is one of everybody, signed_in, nobody')
    .optional(),
  PERSISTED_OPERATIONS_FILE: z.string().optional(),
  REQUEST_TIMEOUT_MS: whole(30_000, 100, 600_000),
  HTTP_BODY_MAX_BYTES: whole(1_048_576, 1_024),
  HTTP_BODIES_MAX_BYTES: whole(268_435_456, 1_024),
  ANSWERS_MAX_BYTES: whole(268_435_456, 1_048_576),
  WEBSOCKET_FRAME_MAX_BYTES: whole(131_072, 1_024),
  WEBSOCKET_INIT_TIMEOUT_MS: whole(3_000, 100, 60_000),
  ...readerSettings.shape,
  EVENT_STREAM_MAX_AGE_MS: whole(300_000, 1_000, 86_400_000),
  SUBSCRIPTIONS_PER_CONNECTION: whole(50, 1),
  CONNECTIONS_PER_USER: whole(10, 1),
  CONNECTIONS_PER_TENANT: whole(1_000, 1),
  CONNECTIONS_PER_NODE: whole(15_000, 1),
  TCP_CONNECTIONS_PER_NODE: whole(0, 0),
  TCP_CONNECTIONS_PER_ADDRESS: whole(2_000, 0),
  HTTP_ANSWER_MIN_BYTES_PER_SECOND: whole(8_192, 1),
  ...rateSettings.shape,
  ...operationSettings.shape,
  TRUSTED_PROXY_HOPS: whole(0, 0, 20),
  SHUTDOWN_TIMEOUT_MS: whole(25_000, 0, 600_000),
  METRICS_PORT: whole(0, 0, 65_535),
  METRICS_HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),

  DATABASE_URL: address(['postgres', 'postgresql']).optional(),
  DATABASE_POOL_SIZE: whole(10, 1, 1_000),
  DATABASE_POOL_WAIT_MS: whole(2_000, 1),
  DATABASE_STATEMENT_TIMEOUT_MS: whole(5_000, 1),
  DATABASE_POOLER: oneOf(['none', 'transaction'], 'none'),
  PGVECTOR: flag.default(true),
  SEARCH_LANGUAGE: z
    .string()
    .regex(/^[a-z_]{1,63}$/, 'is not a language; allowed is simple or a name such as english')
    .default('simple'),

  REDIS_URL: address(['redis', 'rediss']).optional(),
  REDIS_KEY_PREFIX: z
    .string()
    .regex(/^[^{}\s]{1,100}$/, 'is not a prefix; allowed are up to 100 characters without braces and blanks')
    .default('parley:'),

  JWT_SECRET: z
    .string()
    .min(32, 'is too short; allowed is at least 32 characters')
    .default(developmentSecret),
  JWT_PUBLIC_KEY: z
    .string()
    .includes('BEGIN PUBLIC KEY', { message: 'is not a key; allowed is a PEM public key (RSA or EC)' })
    .optional(),
  JWT_JWKS_URL: address(['https', 'http']).optional(),
  JWT_JWKS_REFRESH_SECONDS: whole(30, 1, 3_600),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  JWT_TENANT_CLAIM: z.string().default('tenant'),
  JWT_MAX_DAYS: whole(30, 1, 36_500),
  JWT_CLOCK_TOLERANCE_SECONDS: whole(30, 0, 300),
  AUTO_CREATE_TENANTS: flag.optional(),
  AUDIT_DAYS: whole(365, 0, 36_500),

  TITLE_MODEL: modelId.optional(),
  ...modelSettings.shape,

  MAX_SESSIONS_PER_AGENT: whole(5, 1),
  SESSION_LIMIT_POLICY: oneOf(['deactivate_oldest', 'reject'], 'deactivate_oldest'),
  CHAT_MESSAGE_MAX_LENGTH: whole(10_000, 1, 1_000_000),
  // Three bytes each at most; an index has room for 2,700 bytes.
  CHAT_TITLE_MAX_LENGTH: whole(255, 1, 800),
  CHAT_METADATA_MAX_BYTES: whole(16_384, 2),
  CHAT_SESSION_CLEANUP_DAYS: whole(30, 0, 36_500),
  CHAT_ENABLE_MESSAGE_HISTORY: flag.default(true),
  CHAT_DEFAULT_PAGE_SIZE: whole(10, 1, 10_000),
  CHAT_MAX_PAGE_SIZE: whole(100, 1, 10_000),
  MESSAGE_DEFAULT_PAGE_SIZE: whole(50, 1, 10_000),
  MESSAGE_MAX_PAGE_SIZE: whole(200, 50, 10_000),

  MEMORY_VALUE_MAX_BYTES: whole(65_536, 64),
  MEMORY_MAX_KEYS: whole(1_000, 1, 100_000),
  DOCUMENT_MAX_BYTES: whole(10_485_760, 1_024, 104_857_600),
  DOCUMENTS_PER_USER: whole(1_000, 1),

  ...runSettings.shape,

  FEED_HISTORY_EVENTS: whole(10_000, 10),
  FEED_HISTORY_MINUTES: whole(15, 1),
})

type Settings = z.infer<typeof settings>

/** Reads and checks the environment; throws a `ConfigError` that lists every fault. */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  // An empty value means "not set": that is what a line `NAME=` in an env file is for.
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = settings.safeParse(given)
  const faults = parsed.success
    ? conflicts(parsed.data)
    : parsed.error.issues.map((issue) => describe(issue, given))
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults)
  return deepFreeze(arrange(parsed.data))
}

/** A value whose name tells that it is secret is not repeated. */
function describe(issue: z.core.$ZodIssue, given: Record<string, string | undefined>): string {
  const name = String(issue.path[0])
  const shown = /KEY|SECRET|DATABASE_URL|REDIS_URL/.test(name)
    ? 'the given value'
    : JSON.stringify(given[name])
  return `${name}: ${shown} ${issue.message}`
}

/** Settings of which the first may not be above the second. */
const ordered = [
  ['CHAT_DEFAULT_PAGE_SIZE', 'CHAT_MAX_PAGE_SIZE'],
  ['MESSAGE_DEFAULT_PAGE_SIZE', 'MESSAGE_MAX_PAGE_SIZE'],
  ['SLOW_READER_PAUSE_BYTES', 'SLOW_READER_CLOSE_BYTES'],
] as const

/** Faults that no single setting shows. */
function conflicts(s: Settings): string[] {
  const faults: string[] = []
  const provesByKey = s.JWT_PUBLIC_KEY !== undefined || s.JWT_JWKS_URL !== undefined
  if (s.JWT_PUBLIC_KEY && s.JWT_JWKS_URL)
    faults.push('JWT_PUBLIC_KEY and JWT_JWKS_URL are both set; allowed is one of them')
  if (s.NODE_ENV === 'production' && !provesByKey && s.JWT_SECRET === developmentSecret)
    faults.push(
      'JWT_SECRET: the development secret is not allowed with NODE_ENV=production; set a secret of your own, JWT_PUBLIC_KEY or JWT_JWKS_URL',
    )
  if (s.DATABASE_POOLER !== 'none' && !s.DATABASE_URL)
    faults.push('DATABASE_POOLER: is set without DATABASE_URL; the built-in database has no pooler')
  for (const [lesser, greater] of ordered)
    if (s[lesser] > s[greater]) faults.push(`${lesser}: ${s[lesser]} is above ${greater} (${s[greater]})`)
  const heldAtLeast = 8 * largeBodyMaxBytes(s)
  if (s.HTTP_BODIES_MAX_BYTES < heldAtLeast)
    faults.push(
      `HTTP_BODIES_MAX_BYTES: ${s.HTTP_BODIES_MAX_BYTES} is too small; allowed are ${heldAtLeast} and more, of which a user may have an eighth, for one body of HTTP_BODY_MAX_BYTES and DOCUMENT_MAX_BYTES`,
    )
  return faults
}

/** A document as base64 takes a third more; the rest of its request may be as long as any other. */
const largeBodyMaxBytes = (s: Settings): number =>
  Math.ceil(s.DOCUMENT_MAX_BYTES / 3) * 4 + s.HTTP_BODY_MAX_BYTES

function arrange(s: Settings) {
  const isProduction = s.NODE_ENV === 'production'
  const provesByKey = s.JWT_PUBLIC_KEY !== undefined || s.JWT_JWKS_URL !== undefined
  return {
    isProduction,
    server: {
      host: s.HOST,
      port: s.PORT,
      corsOrigins: s.CORS_ORIGINS,
      /** False: cookies count for nothing. */
      cookieSignIn: s.COOKIE_SIGN_IN,
      chatPage: s.CHAT_PAGE,
      graphiql: s.GRAPHIQL ?? !isProduction,
      introspection: s.INTROSPECTION ?? (isProduction ? 'signed_in' : 'everybody'),
      /** Absent: any operation of the schema may be asked. */
      persistedOperationsFile: s.PERSISTED_OPERATIONS_FILE,
      requestTimeoutMs: s.REQUEST_TIMEOUT_MS,
      bodyMaxBytes: s.HTTP_BODY_MAX_BYTES,
      largeBodyMaxBytes: largeBodyMaxBytes(s),
      heldBodiesMaxBytes: s.HTTP_BODIES_MAX_BYTES,
      heldAnswersMaxBytes: s.ANSWERS_MAX_BYTES,
      websocket: {
        frameMaxBytes: s.WEBSOCKET_FRAME_MAX_BYTES,
        initTimeoutMs: s.WEBSOCKET_INIT_TIMEOUT_MS,
        pingEverySeconds: s.WEBSOCKET_PING_SECONDS,
        operationsPerConnection: s.SUBSCRIPTIONS_PER_CONNECTION,
      },
      slowReaders: arrangeReaders(s),
      eventStreamMaxAgeMs: s.EVENT_STREAM_MAX_AGE_MS,
      connections: {
        perUser: s.CONNECTIONS_PER_USER,
        perTenant: s.CONNECTIONS_PER_TENANT,
        perNode: s.CONNECTIONS_PER_NODE,
      },
      /** Of the network, whatever they are for. */
      tcpConnectionsMax: s.TCP_CONNECTIONS_PER_NODE || s.CONNECTIONS_PER_NODE + 5_000,
      network: {
        /** Behind a proxy all come from one address, and it is the proxy's to share them out. */
        perAddress: s.TRUSTED_PROXY_HOPS > 0 ? 0 : s.TCP_CONNECTIONS_PER_ADDRESS,
        minBytesPerSecond: s.HTTP_ANSWER_MIN_BYTES_PER_SECOND,
      },
      /** Proxies before the server whose word about the caller's address is taken. */
      trustedProxyHops: s.TRUSTED_PROXY_HOPS,
      shutdownTimeoutMs: s.SHUTDOWN_TIMEOUT_MS,
    },
    rates: arrangeRates(s),
    operations: arrangeOperations(s),
    database: {
      /** Absent: the embedded server in `dataDir`. */
      url: s.DATABASE_URL,
      dataDir: s.DATA_DIR,
      poolSize: s.DATABASE_POOL_SIZE,
      poolWaitMs: s.DATABASE_POOL_WAIT_MS,
      statementTimeoutMs: s.DATABASE_STATEMENT_TIMEOUT_MS,
      pooler: s.DATABASE_POOLER,
      searchLanguage: s.SEARCH_LANGUAGE,
      /** Where the server has it, and vectors are made at all. */
      usesPgvector: s.PGVECTOR && s.EMBEDDING_MODEL !== undefined,
    },
    redis: {
      /** Absent: this is the only node, and its live feeds are in its memory. */
      url: s.REDIS_URL,
      keyPrefix: s.REDIS_KEY_PREFIX,
    },
    auth: {
      /** Absent where tokens are proven by a public key. */
      secret: provesByKey ? undefined : s.JWT_SECRET,
      isDevelopmentSecret: !provesByKey && s.JWT_SECRET === developmentSecret,
      publicKey: s.JWT_PUBLIC_KEY,
      jwksUrl: s.JWT_JWKS_URL,
      jwksRefreshMs: s.JWT_JWKS_REFRESH_SECONDS * 1_000,
      issuer: s.JWT_ISSUER,
      audience: s.JWT_AUDIENCE,
      tenantClaim: s.JWT_TENANT_CLAIM,
      maxDays: s.JWT_MAX_DAYS,
      clockToleranceSeconds: s.JWT_CLOCK_TOLERANCE_SECONDS,
      autoCreateTenants: s.AUTO_CREATE_TENANTS ?? !isProduction,
    },
    /** 0: for ever. */
    audit: { days: s.AUDIT_DAYS },
    llm: arrangeModels(s),
    sessions: {
      maxActivePerAgent: s.MAX_SESSIONS_PER_AGENT,
      limitPolicy: s.SESSION_LIMIT_POLICY,
      messageMaxLength: s.CHAT_MESSAGE_MAX_LENGTH,
      titleMaxLength: s.CHAT_TITLE_MAX_LENGTH,
      /** Absent: titles are the first words of the first message. */
      titleModel: s.TITLE_MODEL,
      metadataMaxBytes: s.CHAT_METADATA_MAX_BYTES,
      /** 0: never. */
      cleanupDays: s.CHAT_SESSION_CLEANUP_DAYS,
      sendsHistory: s.CHAT_ENABLE_MESSAGE_HISTORY,
      pageSizes: { default: s.CHAT_DEFAULT_PAGE_SIZE, max: s.CHAT_MAX_PAGE_SIZE },
      messagePageSizes: { default: s.MESSAGE_DEFAULT_PAGE_SIZE, max: s.MESSAGE_MAX_PAGE_SIZE },
    },
    memory: { valueMaxBytes: s.MEMORY_VALUE_MAX_BYTES, maxKeys: s.MEMORY_MAX_KEYS },
    documents: { maxBytes: s.DOCUMENT_MAX_BYTES, perUser: s.DOCUMENTS_PER_USER },
    runs: arrangeRuns(s),
    feed: { maxEntries: s.FEED_HISTORY_EVENTS, maxAgeMs: s.FEED_HISTORY_MINUTES * 60_000 },
    log: { level: s.LOG_LEVEL },
    /** Port 0: nowhere. */
    metrics: { host: s.METRICS_HOST, port: s.METRICS_PORT },
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  return Object.freeze(value)
}
