import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { demoTenant, developmentToken } from './auth/development.ts'
import { createTokens, type Tokens } from './auth/jwt.ts'
import type { Config } from './config.ts'
import type { Database } from './db/client.ts'
import { openDatabase } from './db/open.ts'
import { createRevocations } from './features/accounts/revocations.ts'
import { createAccounts } from './features/accounts/service.ts'
import { createSignIn } from './features/accounts/sign-in.ts'
import { createAgents } from './features/agents/service.ts'
import { createContextServices } from './features/context/assembly.ts'
import { createDocumentServices } from './features/documents/assembly.ts'
import { createPresence, createPresenceRooms } from './features/live/presence.ts'
import { createLive } from './features/live/service.ts'
import { createMemoryServices } from './features/memory/assembly.ts'
import { createMessages } from './features/messages/service.ts'
import { createModelCatalog } from './features/models/service.ts'
import { createReadMarks } from './features/participants/read-marks.ts'
import { createParticipants } from './features/participants/service.ts'
import { createQuotas } from './features/quotas/service.ts'
import { createErasure } from './features/retention/erasure.ts'
import { createRetention } from './features/retention/service.ts'
import { createRunServices } from './features/runs/assembly.ts'
import { createSearch } from './features/search/service.ts'
import type { Services } from './features/services.ts'
import { createChanges } from './features/sessions/changes.ts'
import { createLostChanges } from './features/sessions/lost-changes.ts'
import { createSessions } from './features/sessions/service.ts'
import { createSidebar } from './features/sessions/sidebar.ts'
import { createUsageRollups } from './features/stats/rollup.ts'
import { createStats } from './features/stats/service.ts'
import { limitsOf } from './features/system/limits.ts'
import { createNodeReader } from './features/system/node.ts'
import { countOpenRuns } from './features/system/open-runs.ts'
import { createSystem } from './features/system/service.ts'
import { createTemplates } from './features/templates/service.ts'
import { createImporting } from './features/transfer/importing.ts'
import { createTransfer } from './features/transfer/service.ts'
import { presentError } from './graphql/errors.ts'
import { createJobs, type Jobs } from './jobs/queue.ts'
import { createHolds, type Holds } from './lib/holds.ts'
import { type Meter, noMeter } from './lib/meter.ts'
import { createRates, type Rates } from './lib/rates.ts'
import { createTurnEnd, type TurnEnd } from './lib/turn.ts'
import { version } from './lib/version.ts'
import { openPrices } from './llm/prices.ts'
import type { Provider } from './llm/provider.ts'
import { createModels, type Models } from './llm/registry.ts'
import { createFanOut } from './realtime/fan-out.ts'
import { createFeed } from './realtime/feed.ts'
import { metered } from './realtime/feed-metered.ts'
import { createListing } from './realtime/listing.ts'
import { openShared, type Shared } from './realtime/open.ts'
import { schema } from './schema.ts'
import { createDoors, type Doors } from './server/doors.ts'
import { createHealth } from './server/health.ts'
import { openMetricsDoor } from './server/metrics-door.ts'
import { createPages } from './server/pages.ts'
import { openPersistedOperations } from './server/persisted-operations.ts'
import { graphqlPath } from './server/yoga.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'

export type App = {
  /** Where it can be reached: `http://localhost:4000`. */
  readonly url: string
  readonly tokens: Tokens
  /** Lets replies end for `graceMs`, saves the rest as INTERRUPTED, tells sockets to reconnect, closes everything. */
  stop(graceMs?: number): Promise<void>
}

type Options = {
  log: Log
  /** Providers beyond the configured ones; one with the name of a configured one takes its place. */
  providers?: readonly Provider[]
}

/** From SIGTERM until the last socket was told to go; what is left of 30 seconds is for sockets and requests to end. */
const drainedWithinMs = 26_000
const drainAtLeastMs = 1_000
/** The ends of the last replies are on their way to readers, over Redis, too, when the engine has stopped. */
const toldWithinMs = 250

/** Builds everything from the ground up and starts to listen. What was started is stopped again where a step fails. */
export async function startApp(config: Config, { log, providers = [] }: Options): Promise<App> {
  const opened: Opened = []
  const closeOpened = async () => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne()
  }
  try {
    const tokens = createTokens(config.auth)
    opened.push(async () => tokens.stop())
    const prices = await openPrices(config.llm.pricesFile)
    const models = createModels(config.llm, { log, providers, prices })
    opened.push(() => models.close())
    const shared = await openShared(config, log)
    opened.push(() => shared.close())
    const rates = createRates(shared.rateLedger)
    const holds = createHolds(shared.holdLedger)
    opened.push(async () => rates.stop())
    opened.push(async () => holds.stop())
    const { database, url: databaseUrl, isOnlyNode } = await openDatabase(config, log, opened)
    const jobs = createJobs({ url: databaseUrl, pooler: config.database.pooler, log })
    const atTurnEnd = createTurnEnd()
    const metrics = config.metrics.port > 0 ? createMetrics() : null
    const meter = metrics ?? noMeter
    const ground = { config, shared, rates, database, jobs, log, models, isOnlyNode, atTurnEnd, meter }
    const { services, engine, recovery } = createServices(ground, opened)
    if (config.auth.autoCreateTenants) await services.accounts.ensureTenant(demoTenant.slug, demoTenant.name)
    await services.revocations.start()
    await recovery.start()
    opened.push(async () => recovery.stop())
    jobs.start()
    opened.push(() => jobs.stop())
    const { url, doors } = await openDoors({ ...ground, services, tokens, holds })
    if (metrics) await openMetrics(metrics, doors, ground, opened)
    return {
      url,
      tokens,
      async stop(graceMs = 0) {
        const stoppedAtMs = performance.now()
        doors.refuse()
        recovery.stop()
        await engine.stop(graceMs)
        if (graceMs > 0) await sleep(toldWithinMs)
        // With time to end, there is time to spread what comes back elsewhere.
        const leftMs = stoppedAtMs + (graceMs > 0 ? drainedWithinMs : 0) - performance.now()
        await doors.close(Math.max(leftMs, drainAtLeastMs))
        await closeOpened()
      },
    }
  } catch (error) {
    await closeOpened()
    throw error
  }
}

/** How to close what was opened, in the order of opening. */
type Opened = (() => Promise<void>)[]

type Ground = {
  config: Config
  shared: Shared
  rates: Rates
  database: Database
  jobs: Jobs
  log: Log
  models: Models
  isOnlyNode: boolean
  atTurnEnd: TurnEnd
  meter: Meter
}

function createServices(ground: Ground, opened: Opened) {
  const { config, shared, rates, database, jobs, log, models, isOnlyNode, atTurnEnd, meter } = ground
  const { broker, presence: presenceStore } = shared
  const keep = <Part extends { stop(): unknown }>(part: Part): Part => {
    opened.push(async () => void (await part.stop()))
    return part
  }
  const feed = metered(createFeed(broker, { maxEntries: config.feed.maxEntries }), meter)
  const { system } = database
  const rooms = keep(createPresenceRooms({ store: presenceStore, feed, system, log }))
  rooms.start()
  const listing = keep(createListing(broker, log))
  const changes = createChanges({ feed, listing, rooms, log })
  const lostChanges = keep(createLostChanges({ system, feed, log }))
  lostChanges.start()
  const quotas = createQuotas()
  const base = { database, changes, models, quotas, jobs, log }
  const catalog = keep(createModelCatalog({ models, broker, isManaged: config.llm.isManaged, log }))
  catalog.start()
  const taking = { requireModel: catalog.require, requireTaken: catalog.requireTaken }
  const agents = createAgents({ promptMaxLength: config.sessions.messageMaxLength, ...taking })
  const templates = createTemplates({ config: config.sessions, findAgent: agents.find, ...taking })
  const sessions = createSessions({ config: config.sessions, agents, models: catalog, templates, changes })
  const sidebar = keep(createSidebar({ config: config.sessions, listing, list: sessions, system, log }))
  sidebar.start()
  const participants = createParticipants({ sessions, changes })
  const readMarks = createReadMarks({ sessions, changes })
  const messages = createMessages({ config: config.sessions, sessions, changes })
  const { memories, memoryTools } = createMemoryServices({ config, ...base, sessions })
  const { passages, ...documents } = createDocumentServices({ config, broker, ...base })
  const { context, summaries } = createContextServices({ config, ...base, passages })
  const talk = { catalog, templates, sessions, messages, context, summaries }
  const asked = { ...base, config, broker, feed, lostChanges, rates, ...talk }
  const runs = keep(createRunServices({ ...asked, memoryTools, atTurnEnd, isOnlyNode }))
  const { autoCreateTenants, maxDays: tokenDays } = config.auth
  const revocations = keep(createRevocations({ system, maxDays: tokenDays, log }))
  const accounts = createAccounts({ database, revocations, autoCreateTenants })
  const presence = createPresence({ rooms, store: presenceStore, sessions, log })
  const live = createLive({
    feed,
    fanOut: createFanOut(atTurnEnd),
    sessions,
    messages,
    lostChanges,
    presence,
  })
  const importSessions = createImporting({ config, agents, models: catalog, changes })
  const transfer = createTransfer({ database, sessions, revocations, importSessions })
  const erasure = createErasure({ sessions, participants, runs: runs.services.runs, accounts, changes })
  const days = { afterDays: config.sessions.cleanupDays, auditDays: config.audit.days, tokenDays }
  const { statelessHours } = config.runs
  const retention = createRetention({ system, changes, ...days, statelessHours, log })
  jobs.work('retention', (_data, signal) => retention.sweep(signal))
  jobs.schedule('retention', '23 * * * *')
  const rollups = createUsageRollups({ system, log })
  jobs.work('usage-rollup', (_data, signal) => rollups.roll(signal))
  jobs.schedule('usage-rollup', '*/10 * * * *')
  return {
    services: {
      accounts,
      revocations,
      agents,
      models: catalog,
      quotas,
      templates,
      sessions,
      sidebar,
      participants,
      readMarks,
      messages,
      memories,
      ...runs.services,
      live,
      presence,
      search: createSearch(),
      stats: createStats(),
      transfer,
      erasure,
      ...documents,
      limits: limitsOf(config),
    },
    engine: runs.engine,
    recovery: runs.recovery,
  }
}

type Parts = Ground & { services: Omit<Services, 'system'>; tokens: Tokens; holds: Holds }

async function openDoors({ config, database, services, tokens, shared, ...parts }: Parts) {
  const readNode = createNodeReader({ directory: config.database.url ? '.' : config.database.dataDir })
  const system = createSystem({
    version,
    readNode,
    database,
    broker: shared,
    models: services.models,
    counts: () => doors.counts(),
  })
  const allServices = { ...services, system }
  const signIn = createSignIn({ tokens, ...services })
  const doors = createDoors({
    config,
    schema,
    contextOf: async ({ requestId, authorization, gone }) => ({
      requestId,
      gone,
      viewer: await signIn.bearer(authorization),
      services: allServices,
    }),
    present: (error, requestId) =>
      presentError(error, requestId, {
        report: (cause) => parts.log.error({ err: cause, requestId }, 'an operation failed'),
        hidesNames: config.isProduction,
      }),
    signIn: signIn.viewer,
    holdsForMs: tokens.holdsForMs,
    signOut: signIn.end,
    health: createHealth({ version, ping: database.ping, isBrokerReachable: shared.isReachable }),
    pages: createPages({
      directory: fileURLToPath(new URL('../web/dist', import.meta.url)),
      endpoint: graphqlPath,
      chat: config.server.chatPage,
      graphiql: config.server.graphiql,
      token: () => developmentToken(config, tokens),
    }),
    openDownload: services.transfer.open,
    persisted: await openPersistedOperations(config.server.persistedOperationsFile),
    ...parts,
  })
  services.revocations.follow(doors.recheck)
  tokens.follow(() => doors.recheck('all'))
  return { url: await doors.open(), doors }
}

async function openMetrics(metrics: Metrics, doors: Doors, ground: Ground, opened: Opened) {
  const { config, shared, database, jobs } = ground
  metrics.read({
    open: doors.counts,
    openRuns: () => countOpenRuns(database.system),
    jobs: jobs.counts,
    databaseConnections: database.poolUse,
    isBrokerReachable: shared.isReachable,
  })
  opened.push((await openMetricsDoor(metrics, config.metrics)).close)
}
