import type { Config } from '../../config.ts'
import type { Database } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import type { Models } from '../../llm/registry.ts'
import { createTokenCounters } from '../../llm/tokens.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Passages } from '../documents/passages.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { type ContextBuilder, createContextBuilder } from './service.ts'
import { createSummaries, type Summaries } from './summaries.ts'

type Dependencies = {
  config: Config
  database: Database
  changes: Changes
  models: Models
  quotas: Quotas
  jobs: Jobs
  passages: Passages
  log: Log
}

/** Puts the parts of this slice together. */
export function createContextServices({ config, passages, ...base }: Dependencies): {
  context: ContextBuilder
  summaries: Summaries
} {
  const { sendsHistory } = config.sessions
  const { models } = base
  const counters = createTokenCounters()
  const context = createContextBuilder({ sendsHistory, passages, models, counters })
  return { context, summaries: createSummaries({ ...base, context, counters }) }
}
