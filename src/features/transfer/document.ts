import { z } from 'zod'
import type { Config } from '../../config.ts'
import { clientKey, jsonObject, text } from '../../lib/checks.ts'
import { ValidationError } from '../../lib/errors.ts'
import { decodeIdOf } from '../../lib/ids.ts'
import { repeatedIds } from '../messages/links.ts'
import { createSessionChecks, maxDocuments } from '../sessions/checks.ts'

/**
 * The format of exports, described in docs/export-format.md. A reader skips fields that it does not know, so fields
 * may be added to it; whatever else changes gets a new name.
 */
export const documentFormat = 'parley/1'

/** Imports are checked and stored as a whole; this many take some seconds and some 100 MB. */
export const maxImportedMessages = 100_000

type Limits = {
  sessions: Config['sessions']
  /** In UTF-16 units: as long as the longest message that this server can hold. */
  contentMaxLength: number
}

/** Reads a document of the format, with the limits of this installation. */
export function createDocumentCheck({ sessions, contentMaxLength }: Limits) {
  const id = text({ min: 1, max: 255 })
  const toolCall = z.object({
    id,
    name: text({ min: 1, max: 255 }),
    arguments: jsonObject({ maxBytes: contentMaxLength }),
  })
  const message = z.object({
    id: id.nullish(),
    role: z.enum(['USER', 'ASSISTANT', 'SYSTEM', 'TOOL']),
    content: text({ max: contentMaxLength }).nullish(),
    toolCalls: z.array(toolCall).nullish(),
    toolCallId: id.nullish(),
    author: id.nullish(),
    agent: id.nullish(),
    status: z.enum(['STREAMING', 'COMPLETE', 'CANCELLED', 'FAILED', 'INTERRUPTED']).nullish(),
    finishReason: z
      .enum(['STOP', 'LENGTH', 'TOOL_CALLS', 'CONTENT_FILTER', 'CANCELLED', 'ERROR', 'OTHER'])
      .nullish(),
    model: text({ min: 1, max: 200 }).nullish(),
    inputTokens: count.nullish(),
    outputTokens: count.nullish(),
    cachedInputTokens: count.nullish(),
    cost: z
      .string()
      .regex(/^\d{1,9}(\.\d{1,9})?$/, 'is not an amount; allowed is a decimal text such as "0.0012"')
      .nullish(),
    metadata: jsonObject({ maxBytes: sessions.metadataMaxBytes }).nullish(),
    clientId: clientKey.nullish(),
    citations: z.array(citation).max(maxCitations, `has more than ${maxCitations} entries`).nullish(),
    editedAt: time.nullish(),
    replaces: id.nullish(),
    replacedAt: time.nullish(),
    createdAt: time.nullish(),
    updatedAt: time.nullish(),
  })
  return z.object({
    session: createSessionChecks(sessions)
      .update.omit({ isActive: true, documentIds: true })
      .extend({
        template: text({ min: 1, max: 100 }).nullish(),
        titleSource: z.enum(['FIRST_MESSAGE', 'MODEL', 'PERSON']).nullish(),
        key: clientKey.nullish(),
        documents: z
          .array(z.object({ id: documentId }))
          .max(maxDocuments, `has more than ${maxDocuments} entries`)
          .nullish(),
        createdAt: time.nullish(),
      }),
    messages: z.array(message).superRefine((messages, context) => {
      for (const { path, message } of linkFaults(messages))
        context.addIssue({ code: 'custom', path, message })
    }),
  })
}

const count = z.int32('is not a whole number').min(0, 'is below 0')

const dayMs = 86_400_000

/** The time, unless no conversation can be of it: before 1970, or more than a day ahead. */
export const plausible = (date: Date): Date | null =>
  date.getTime() >= 0 && date.getTime() <= Date.now() + dayMs ? date : null

/** A time that cannot be counts as that of the import. */
const time = z.iso
  .datetime({ offset: true, error: 'is not a time; allowed is ISO 8601, such as 2026-11-20T16:00:00Z' })
  .transform((stamp) => plausible(new Date(stamp)) ?? new Date())

/** Of a document here; whether the importer sees it is another question. */
const documentId = z.string().transform((id, context) => {
  try {
    return decodeIdOf('Document', id)
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error
    for (const { message } of error.fields) context.addIssue(message)
    return z.NEVER
  }
})

/** More than any reply is given. */
const maxCitations = 100

/** Without a document: its reader did not see that any more when it was exported. */
const citation = z.object({
  marker: z.int32('is not a whole number').min(1, 'is below 1'),
  document: documentId.nullish(),
  score: z.number('is not a number'),
  page: z.int32('is not a whole number').min(1, 'is below 1').nullish(),
  heading: text({ max: 255 }).nullish(),
  startOffset: count,
  endOffset: count,
  text: text({ max: 1_000 }),
})

type DocumentCheck = ReturnType<typeof createDocumentCheck>
/** A checked document. */
export type SessionDocument = z.output<DocumentCheck>
/** A document as a reader of another format makes it, not checked yet. */
export type UncheckedDocument = z.input<DocumentCheck>
export type UncheckedMessage = UncheckedDocument['messages'][number]

type LinkedMessage = Pick<
  SessionDocument['messages'][number],
  'id' | 'role' | 'content' | 'toolCalls' | 'toolCallId' | 'replaces' | 'clientId' | 'citations'
>
type LinkFault = { path: (string | number)[]; message: string }

/** What no message shows by itself: ids and keys are unique, results follow their calls, versions the ones they replace. */
function linkFaults(messages: readonly LinkedMessage[]): LinkFault[] {
  const ids = new Set<string>()
  const calls = new Set<string>()
  const replaced = new Set<string>()
  const clientIds = new Set<string>()
  return messages.flatMap((message, index) => {
    const { id, role, content, toolCalls, toolCallId, replaces, clientId, citations } = message
    const faults: LinkFault[] = []
    const fault = (field: string, message: string) => faults.push({ path: [index, field], message })
    const callIds = (toolCalls ?? []).map((call) => call.id)
    for (const place of repeatedIds(callIds))
      faults.push({
        path: [index, 'toolCalls', place, 'id'],
        message: 'is that of an earlier call of the message',
      })
    for (const place of repeatedIds((citations ?? []).map(({ marker }) => marker)))
      faults.push({
        path: [index, 'citations', place, 'marker'],
        message: 'is that of an earlier citation of the message',
      })
    if (role !== 'ASSISTANT' && citations?.length) fault('citations', 'go with the role ASSISTANT only')
    if (clientId && clientIds.has(clientId)) fault('clientId', 'is that of an earlier message')
    if (id && ids.has(id)) fault('id', 'is that of an earlier message')
    if (!content?.trim() && (role === 'USER' || role === 'SYSTEM'))
      fault('content', 'is empty; some text is needed')
    if (role !== 'ASSISTANT' && toolCalls?.length) fault('toolCalls', 'go with the role ASSISTANT only')
    if (role !== 'TOOL' && toolCallId) fault('toolCallId', 'goes with the role TOOL only')
    if (role === 'TOOL' && !toolCallId)
      fault('toolCallId', 'is missing; a TOOL message names the call that it answers')
    if (role === 'TOOL' && toolCallId && !calls.has(toolCallId))
      fault('toolCallId', `${JSON.stringify(toolCallId)} is no tool call of an earlier message`)
    if (replaces && !ids.has(replaces))
      fault('replaces', `${JSON.stringify(replaces)} is not the id of an earlier message`)
    if (replaces && replaced.has(replaces)) fault('replaces', 'is replaced by an earlier message already')
    for (const callId of callIds) calls.add(callId)
    if (id) ids.add(id)
    if (replaces) replaced.add(replaces)
    if (clientId) clientIds.add(clientId)
    return faults
  })
}
