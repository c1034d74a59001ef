import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { demoTenant, developmentToken } from './auth/development.ts'
import { createTokens, type Tokens } from './auth/jwt.ts'
import type { Config } from './config.ts'
import type { Database } from './db/client.ts'
import { openDatabase } from './db/open.ts'
import { createRevocations } from './features/accounts/revocations.ts'
import { createAccounts } from './features/accounts/service.ts'
import { createAgents } from './features/agents/service.ts'
import { createContextServices } from './features/context/assembly.ts'
import { createDocumentServices } from './features/documents/assembly.ts'
import { createLostChanges } from './features/live/lost-changes.ts'
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
import { createSessions } from './features/sessions/service.ts'
import { createSidebar } from './features/sessions/sidebar.ts'
import { createStats } from './features/stats/service.ts'
import { createNodeReader } from './features/system/node.ts'
import { createSystem } from './features/system/service.ts'
import { createTemplates } from './features/templates/service.ts'
import { createImporting } from './features/transfer/importing.ts'
import { createTransfer } from './features/transfer/service.ts'
import type { Context } from './graphql/context.ts'
import { presentError } from './graphql/errors.ts'
import { createJobs, type Jobs } from './jobs/queue.ts'
import { createRates, type Rates } from './lib/rates.ts'
import { createTurnEnd, type TurnEnd } from './lib/turn.ts'
import { openPrices } from './llm/prices.ts'
import type { Provider } from './llm/provider.ts'
import { createModels, type Models } from './llm/registry.ts'
import { createFanOut } from './realtime/fan-out.ts'
import { createFeed } from './realtime/feed.ts'
import { createListing } from './realtime/listing.ts'
import { openShared, type Shared } from './realtime/open.ts'
import { schema } from './schema.ts'
import { createDoors } from './server/doors.ts'
import { createExportDoor } from './server/exports.ts'
import { createHealth } from './server/health.ts'
import { createPages } from './server/pages.ts'
import { openPersistedOperations } from './server/persisted-operations.ts'
import { graphqlPath, type OperationOrigin } from './server/yoga.ts'
import type { Log } from './telemetry/log.ts'

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
  const opened: (() => Promise<void>)[] = []
  const closeOpened = async () => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne()
  }
  try {
    const tokens = createTokens(config.auth)
    const prices = await openPrices(config.llm.pricesFile)
    const models = createModels(config.llm, { log, providers, prices })
    opened.push(() => models.close())
    const shared = await openShared(config, log)
    opened.push(() => shared.close())
    const rates = createRates(shared.rateLedger)
    opened.push(async () => rates.stop())
    const { database, url: databaseUrl, isOnlyNode } = await openDatabase(config, log, opened)
    const jobs = createJobs({ url: databaseUrl, log })
    const atTurnEnd = createTurnEnd()
    const { services, engine, recovery } = createServices(
      config,
      shared,
      rates,
      database,
      jobs,
      log,
      models,
      isOnlyNode,
      atTurnEnd,
      opened,
    )
    if (config.auth.autoCreateTenants) await services.accounts.ensureTenant(demoTenant.slug, demoTenant.name)
    await services.revocations.start()
    await recovery.start()
    opened.push(async () => recovery.stop())
    jobs.start()
    opened.push(() => jobs.stop())
    const parts = { database, services, tokens, shared, rates, atTurnEnd, log }
    const { url, doors } = await openDoors(config, parts)
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

function createServices(
  config: Config,
  { broker, presence: presenceStore }: Shared,
  rates: Rates,
  database: Database,
  jobs: Jobs,
  log: Log,
  models: Models,
  isOnlyNode: boolean,
  atTurnEnd: TurnEnd,
  opened: (() => Promise<void>)[],
) {
  const feed = createFeed(broker, { maxEntries: config.feed.maxEntries })
  const { system } = database
  const rooms = createPresenceRooms({ store: presenceStore, feed, system, log })
  rooms.start()
  opened.push(() => rooms.stop())
  const listing = createListing(broker, log)
  opened.push(async () => listing.stop())
  const changes = createChanges({ feed, listing, rooms, log })
  const quotas = createQuotas()
  const base = { database, changes, models, quotas, jobs, log }
  const catalog = createModelCatalog({ models, broker, isManaged: config.llm.isManaged, log })
  catalog.start()
  opened.push(() => catalog.stop())
  const agents = createAgents({
    promptMaxLength: config.sessions.messageMaxLength,
    requireModel: catalog.require,
  })
  const settings = { config: config.sessions, requireModel: catalog.require }
  const templates = createTemplates({ ...settings, findAgent: agents.find })
  const sessions = createSessions({ config: config.sessions, agents, models: catalog, templates, changes })
  const sidebar = createSidebar({ config: config.sessions, listing, list: sessions, system, log })
  sidebar.start()
  opened.push(async () => sidebar.stop())
  const participants = createParticipants({ sessions, changes })
  const readMarks = createReadMarks({ sessions, changes })
  const messages = createMessages({ config: config.sessions, sessions, changes })
  const { memories, memoryTools } = createMemoryServices({ config, ...base, sessions })
  const { passages, ...documents } = createDocumentServices({ config, broker, ...base })
  const { context, summaries } = createContextServices({ config, ...base, passages })
  const asked = {
    ...base,
    config,
    broker,
    feed,
    rates,
    catalog,
    templates,
    sessions,
    messages,
    context,
    summaries,
  }
  const runs = createRunServices({ ...asked, memoryTools, atTurnEnd, isOnlyNode })
  opened.push(async () => runs.stop())
  const revocations = createRevocations({ system, log })
  opened.push(async () => revocations.stop())
  const { autoCreateTenants } = config.auth
  const accounts = createAccounts({ database, revocations, autoCreateTenants })
  const lostChanges = createLostChanges({ system, feed, log })
  lostChanges.start()
  opened.push(async () => lostChanges.stop())
  const presence = createPresence({ rooms, store: presenceStore, sessions, log })
  const live = createLive({ feed, fanOut: createFanOut(atTurnEnd), sessions, lostChanges, presence })
  const search = createSearch()
  const stats = createStats()
  const importSessions = createImporting({ config, agents, models: catalog, changes })
  const transfer = createTransfer({ database, sessions, importSessions })
  const erasure = createErasure({ sessions, participants, runs: runs.services.runs, accounts, changes })
  const { cleanupDays } = config.sessions
  const retention = createRetention({
    system,
    changes,
    afterDays: cleanupDays,
    statelessHours: config.runs.statelessHours,
    auditDays: config.audit.days,
    log,
  })
  jobs.work('retention', (_data, signal) => retention.sweep(signal))
  jobs.schedule('retention', '23 * * * *')
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
      search,
      stats,
      transfer,
      erasure,
      ...documents,
    },
    engine: runs.engine,
    recovery: runs.recovery,
  }
}

type Parts = {
  database: Database
  services: Omit<Services, 'system'>
  tokens: Tokens
  shared: Shared
  rates: Rates
  atTurnEnd: TurnEnd
  log: Log
}

async function openDoors(
  config: Config,
  { database, services, tokens, shared, rates, atTurnEnd, log }: Parts,
) {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const readNode = createNodeReader({ directory: config.database.url ? '.' : config.database.dataDir })
  const broker = { kind: shared.kind, isReachable: shared.isReachable }
  const counts = () => doors.counts()
  const system = createSystem({ version, readNode, database, broker, models: services.models, counts })
  const allServices = { ...services, system }
  const doors = createDoors({
    config,
    schema,
    contextOf: (origin) => contextOf(origin, allServices, tokens),
    present: (error, requestId) =>
      presentError(error, requestId, (cause) => log.error({ err: cause, requestId }, 'an operation failed')),
    signIn: async (token) => services.accounts.signIn(await tokens.verify(token)),
    health: createHealth({ version, ping: database.ping, isBrokerReachable: shared.isReachable }),
    pages: createPages({
      directory: fileURLToPath(new URL('../web/dist', import.meta.url)),
      endpoint: graphqlPath,
      chat: config.server.chatPage,
      graphiql: config.server.graphiql,
      token: () => developmentToken(config, tokens),
    }),
    exports: createExportDoor(services.transfer.open),
    rates,
    persisted: await openPersistedOperations(config.server.persistedOperationsFile),
    atTurnEnd,
    log,
  })
  services.revocations.follow(doors.recheck)
  return { url: await doors.open(), doors }
}

async function contextOf(origin: OperationOrigin, services: Services, tokens: Tokens): Promise<Context> {
  const token = origin.authorization?.replace(/^bearer\s+/i, '')
  const viewer = token ? await services.accounts.signIn(await tokens.verify(token)) : null
  return { requestId: origin.requestId, viewer, services }
}
