import { z } from 'zod'
import type { Config } from '../../config.ts'
import { clientKey, jsonObject, modelId, modelParameters, text } from '../../lib/checks.ts'
import { contextPolicy } from '../../lib/context-policy.ts'
import { userReference } from '../accounts/people.ts'

/** The most documents that a session may have. */
export const maxDocuments = 100

/** What may be asked of a session, with the limits of this installation. */
export function createSessionChecks(config: Config['sessions']) {
  const title = text({ min: 1, max: config.titleMaxLength }).nullish()
  const agent = text({ min: 1, max: 100 }).nullish()
  const metadata = jsonObject({ maxBytes: config.metadataMaxBytes }).nullish()
  const tags = z
    .array(text({ min: 1, max: 64 }))
    .max(20, 'has more than 20 entries')
    .nullish()
  const documentIds = z.array(z.uuid()).max(maxDocuments, `has more than ${maxDocuments} entries`).nullish()
  const settings = {
    title,
    agent,
    model: modelId.nullish(),
    systemPrompt: text({ max: config.messageMaxLength }).nullish(),
    parameters: modelParameters.nullish(),
    contextPolicy: contextPolicy.nullish(),
    metadata,
    tags,
    documentIds,
  }
  const origin = { template: z.uuid().nullish(), ...userReference }
  const stamp = z.date().nullish()
  return {
    create: z.object({ ...settings, ...origin, clientId: clientKey.nullish() }),
    getOrCreate: z.object({ ...settings, ...origin, key: text({ min: 1, max: 255 }) }),
    update: z.object({ ...settings, isActive: z.boolean().nullish() }),
    /** What a template and what is asked of it come to together. */
    merged: z.object({ metadata }),
    fork: z.object({
      sessionId: z.uuid(),
      atMessageId: z.uuid(),
      title,
      clientId: clientKey.nullish(),
      ...userReference,
    }),
    list: z.object({
      filter: z.object({
        ...userReference,
        participant: z.uuid().nullish(),
        parentId: z.uuid().nullish(),
        agent,
        isActive: z.boolean().nullish(),
        recentlyActive: z.boolean().nullish(),
        deleted: z.boolean().nullish(),
        title: text({ max: config.titleMaxLength }).nullish(),
        metadata,
        tags,
        model: modelId.nullish(),
        createdAfter: stamp,
        createdBefore: stamp,
        lastMessageAfter: stamp,
        lastMessageBefore: stamp,
      }),
    }),
  }
}

export type SessionChecks = ReturnType<typeof createSessionChecks>
export type CreateSession = z.output<SessionChecks['create']>
export type GetOrCreateSession = z.output<SessionChecks['getOrCreate']>
export type UpdateSession = z.output<SessionChecks['update']>
export type ForkSession = z.output<SessionChecks['fork']>
export type SessionFilter = z.output<SessionChecks['list']>['filter']
