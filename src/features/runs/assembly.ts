import { randomUUID } from 'node:crypto'
import type { Config } from '../../config.ts'
import type { Database } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import type { Rates } from '../../lib/rates.ts'
import type { TurnEnd } from '../../lib/turn.ts'
import type { Models } from '../../llm/registry.ts'
import type { Broker } from '../../realtime/broker.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ContextBuilder } from '../context/service.ts'
import type { Summaries } from '../context/summaries.ts'
import type { MemoryTools } from '../memory/tools.ts'
import type { Messages } from '../messages/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import type { LostChanges } from '../sessions/lost-changes.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Templates } from '../templates/service.ts'
import { createBeats } from './beats.ts'
import { createClaims } from './claims.ts'
import { createEngine } from './engine.ts'
import { createHints } from './hints.ts'
import { createPreviews } from './preview.ts'
import { createRunQueue } from './queue.ts'
import { createRecovery } from './recovery.ts'
import { createRevisions } from './revisions.ts'
import { createSending } from './sending.ts'
import { createRuns } from './service.ts'
import { createStatelessRuns } from './stateless.ts'
import { createTitles } from './titles.ts'
import { createToolResults } from './tool-results.ts'
import { createTurns } from './turn.ts'

type Dependencies = {
  config: Config
  database: Database
  changes: Changes
  models: Models
  quotas: Quotas
  jobs: Jobs
  log: Log
  broker: Broker
  feed: Feed
  lostChanges: LostChanges
  rates: Rates
  catalog: ModelCatalog
  templates: Templates
  sessions: Sessions
  messages: Messages
  context: ContextBuilder
  summaries: Summaries
  memoryTools: MemoryTools
  atTurnEnd: TurnEnd
  isOnlyNode: boolean
}

/** Puts the parts of this slice together, and listens to the other nodes until `stop`. */
export function createRunServices({ config, broker, catalog, rates, isOnlyNode, ...given }: Dependencies) {
  const { database, changes, models, quotas, jobs, log, feed, sessions, messages, context } = given
  const base = { database, changes, models, quotas, jobs, log }
  const { messageMaxLength } = config.sessions
  const claims = createClaims({ database, changes, config: config.runs, nodeId: randomUUID() })
  const beats = createBeats({ config: config.runs, database, log })
  const hints = createHints({ broker, log })
  const titles = createTitles({ config: config.sessions, ...base })
  const { summaries, memoryTools, atTurnEnd, templates, lostChanges } = given
  const replying = { claims, beats, hints, context, titles, summaries, memoryTools, atTurnEnd }
  const { requireAllowed } = catalog
  const engine = createEngine({ config: config.runs, ...base, requireAllowed, feed, ...replying })
  hints.start({ onWaiting: engine.takeWaiting, onCancel: engine.cancel })
  const recovery = createRecovery({ config: config.runs, database, changes, feed, engine, log, isOnlyNode })
  const sendRates = {
    ofUser: rates.limit('send', config.rates.sends, { what: 'sends', setting: 'SENDS_PER_MINUTE' }),
    ofTenant: rates.limit('tenant-send', config.rates.sendsOfTenant, {
      what: 'sends of the tenant',
      setting: 'SENDS_PER_MINUTE_PER_TENANT',
    }),
  }
  const { titleMaxLength } = config.sessions
  const turns = createTurns({ titleMaxLength, messages, models: catalog, claims, context, quotas, sendRates })
  const runs = createRuns({ sessions, changes, feed, lostChanges, engine, hints })
  const asking = { config: config.sessions, sessions, turns, runs, changes, engine, quotas }
  return {
    services: {
      runs,
      previews: createPreviews({ config: config.sessions, sessions, turns, context }),
      sending: createSending(asking),
      runQueue: createRunQueue({ sessions, runs, changes }),
      toolResults: createToolResults({ messageMaxLength, sessions, runs, claims, changes, engine }),
      revisions: createRevisions(asking),
      statelessRuns: createStatelessRuns({ ...asking, templates }),
    },
    engine,
    recovery,
    stop: () => hints.stop(),
  }
}
