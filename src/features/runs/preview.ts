import { z } from 'zod'
import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Message } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { check, modelId, modelParameters, text } from '../../lib/checks.ts'
import { contextPolicy } from '../../lib/context-policy.ts'
import type { ContextBuilder, Preview } from '../context/service.ts'
import { maxDocuments } from '../sessions/checks.ts'
import { requireDocuments } from '../sessions/documents.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Turns } from './turn.ts'

export type Previews = {
  /** What a send of the viewer's would carry, settled as a send is. */
  preview(viewer: Viewer, sessionId: string, input: unknown): Promise<Preview>
  /** A message that a preview names, unless it has left the viewer's sight; for many at once, it is one statement. */
  messageOf(viewer: Viewer, messageId: string): Promise<Message | null>
}

type Dependencies = {
  config: Config['sessions']
  sessions: Sessions
  turns: Turns
  context: ContextBuilder
}

export function createPreviews({ config, sessions, turns, context }: Dependencies): Previews {
  const input = z.object({
    content: text({ min: 1, max: config.messageMaxLength }).nullish(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
    contextPolicy: contextPolicy.nullish(),
    documentIds: z.array(z.uuid()).max(maxDocuments, `has more than ${maxDocuments} entries`).nullish(),
  })

  const messages = createBatch<Viewer, string, Message>(async (viewer, ids) => {
    const where = { tenantId: viewer.tenantId, id: { in: [...ids] }, ...onVisibleSession(viewer) }
    const rows = await viewer.db.prisma.message.findMany({ where })
    return new Map(rows.map((row) => [row.id, row]))
  })

  return {
    async preview(viewer, sessionId, asked) {
      const { content, documentIds: named, ...given } = check(input, asked)
      const session = await sessions.require(viewer, sessionId, 'EDITOR')
      const { model, parameters } = await turns.settle(viewer, session, {
        ...given,
        content: content ?? null,
      })
      const { userId, db } = viewer
      const documentIds = named ? await requireDocuments(db.sql, viewer, named) : null
      const policy = given.contextPolicy ?? null
      const sending = { sessionId, userId, content: content ?? null, model, parameters, policy, documentIds }
      return context.preview(db, sending)
    },
    messageOf: async (viewer, messageId) => (await messages(viewer, messageId)) ?? null,
  }
}
