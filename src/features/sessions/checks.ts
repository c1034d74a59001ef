import { z } from 'zod'
import type { Config } from '../../config.ts'
import { clientKey, jsonObject, modelId, modelParameters, text } from '../../lib/checks.ts'

/** What a session is told by, in its settings and in a filter of sessions. */
export const sessionNames = {
  agent: text({ min: 1, max: 100 }).nullish(),
  model: modelId.nullish(),
  tags: z
    .array(text({ min: 1, max: 64 }))
    .max(20, 'has more than 20 entries')
    .nullish(),
}

/** What may be asked of a session, with the limits of this installation. */
export function createSessionChecks(config: Config['sessions']) {
  const settings = {
    title: text({ min: 1, max: config.titleMaxLength }).nullish(),
    ...sessionNames,
    systemPrompt: text({ max: config.messageMaxLength }).nullish(),
    parameters: modelParameters.nullish(),
    metadata: jsonObject({ maxBytes: config.metadataMaxBytes }).nullish(),
  }
  return {
    create: z.object({ ...settings, userId: z.uuid().nullish(), clientId: clientKey.nullish() }),
    update: z.object({ ...settings, isActive: z.boolean().nullish() }),
  }
}

type Checks = ReturnType<typeof createSessionChecks>
export type CreateSession = z.output<Checks['create']>
export type UpdateSession = z.output<Checks['update']>
