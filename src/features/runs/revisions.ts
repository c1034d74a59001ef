import { z } from 'zod'
import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Message, Session, Sql, Statement } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/failures.ts'
import { check, clientKey, modelId, modelParameters, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { invalid, NotFoundError, RunInProgressError, ValidationError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { actingFor, userReference } from '../accounts/people.ts'
import { recordUnlessOwn } from '../audit/record.ts'
import { messageColumns } from '../messages/append.ts'
import { eraseMessages, lockMessages, messagesErasedWith, replaceMessages } from '../messages/removal.ts'
import type { ClientKey } from '../messages/service.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Change, Changes } from '../sessions/changes.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Engine } from './engine.ts'
import type { Runs } from './service.ts'
import type { Sent, Turn, Turns } from './turn.ts'

/**
 * Changes of what was said. What is still being answered in the part that changes is cancelled first, and its end waited
 * for; where the caller has gone by then (`gone`), nothing changes but that. The same `clientId` gives the same rows, as in
 * a send.
 */
export type Revisions = {
  /** Stores a new version of a user message and has it answered; the old one and all that followed are replaced. */
  edit(viewer: Viewer, input: unknown, gone?: AbortSignal): Promise<Sent>
  /** Has a user message answered anew; the reply and all that followed are replaced. */
  regenerate(viewer: Viewer, input: unknown, gone?: AbortSignal): Promise<Sent>
  /** Erases a message, its earlier versions and the results of its tool calls; gives their ids. */
  remove(viewer: Viewer, messageId: string, gone?: AbortSignal): Promise<Removed>
}

export type Removed = { messageIds: string[]; session: Session }

const findActive: Statement = {
  name: 'run-active-of-messages',
  text: `SELECT r.id FROM runs r WHERE r.tenant_id = $1 AND r.session_id = $2
      AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')
      AND EXISTS (SELECT FROM messages m WHERE m.tenant_id = r.tenant_id
        AND (m.id IN (r.user_message_id, r.assistant_message_id) OR m.run_id = r.id)
        AND (m.seq >= $3 OR m.id = ANY($4)))
    ORDER BY r.status = 'QUEUED' DESC, r.queue_rank DESC, r.id DESC`,
}

// The question of the reply's own run; for a reply without one (stored by hand), the last before it.
const findQuestion: Statement = {
  name: 'message-question-of',
  text: `SELECT ${messageColumns} FROM messages m
    LEFT JOIN runs r ON r.tenant_id = m.tenant_id AND r.user_message_id = m.id AND r.assistant_message_id = $3
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.seq < $4 AND m.role = 'USER' AND m.replaced_at IS NULL
    ORDER BY r.id IS NULL, m.seq DESC LIMIT 1`,
}

const notInConversation = () =>
  invalid('messageId', 'is not part of the conversation any more: it was replaced or deleted')

/** What a model said is the owner's of the session. */
const ownerOf = (message: Message, session: Session) => message.authorId ?? session.userId

/** The runs that are in the way. */
type Active = { active: string[] }

type Dependencies = {
  config: Config['sessions']
  sessions: Sessions
  turns: Turns
  runs: Runs
  changes: Changes
  engine: Engine
  quotas: Quotas
}

export function createRevisions(dependencies: Dependencies): Revisions {
  const { config, sessions, turns, runs, changes, engine, quotas } = dependencies
  const editInput = z.object({
    messageId: z.uuid(),
    content: text({ min: 1, max: config.messageMaxLength }),
    clientId: clientKey.nullish(),
    ...userReference,
  })
  const regenerateInput = z.object({
    messageId: z.uuid(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
    clientId: clientKey.nullish(),
    ...userReference,
  })

  /** Does the work in a transaction that finds nothing active in its part, cancelling what is. */
  async function whenQuiet<Result>(
    viewer: Viewer,
    sessionId: string,
    gone: AbortSignal | undefined,
    work: (sql: Sql) => Promise<Change<Result> | Active>,
  ): Promise<Result> {
    for (;;) {
      const attempt = await changes.commit<Active | { result: Result }>(viewer.db, sessionId, async (sql) => {
        const done = await work(sql)
        if ('active' in done) return { result: done, events: [] }
        return { result: { result: done.result }, events: done.events }
      })
      if ('result' in attempt) return attempt.result
      // The last first: what waits behind a running reply must not start when that one is gone.
      for (const runId of attempt.active) {
        const run = await runs.cancel(viewer, runId, gone)
        if (run.finishedAt === null) await runs.ended(viewer, run, gone)
      }
      // Nobody hears it. Stored now, it could undo what the caller, who knows nothing of it, asks for next.
      if (gone?.aborted) throw new RunInProgressError()
    }
  }

  async function activeIn(
    sql: Sql,
    viewer: Viewer,
    session: Session,
    part: { from?: number; ids?: string[] },
  ) {
    const values = [viewer.tenantId, session.id, part.from ?? null, part.ids ?? []]
    return (await sql<{ id: string }>(findActive, values)).map(({ id }) => id)
  }

  async function find(viewer: Viewer, messageId: string): Promise<Message> {
    const where = { tenantId: viewer.tenantId, id: messageId, ...onVisibleSession(viewer) }
    const message = await viewer.db.prisma.message.findFirst({ where })
    if (!message) throw new NotFoundError('message')
    return message
  }

  /** What a person wrote is the author's to change, and the owner's. */
  const requireOwn = (viewer: Viewer, message: Message) =>
    sessions.require(viewer, message.sessionId, message.authorId === viewer.userId ? 'EDITOR' : 'OWNER')

  /** Replaces `target` and what follows by a turn, which `turnOf` gives under the session's lock. */
  async function answerAnew(
    viewer: Viewer,
    session: Session,
    target: Message,
    key: ClientKey | undefined,
    gone: AbortSignal | undefined,
    { action, ownerId }: { action: string; ownerId: string },
    turnOf: (sql: Sql) => Promise<Turn>,
  ): Promise<Sent> {
    const place = { tenantId: viewer.tenantId, sessionId: session.id }
    try {
      const sent = await whenQuiet(viewer, session.id, gone, async (sql) => {
        await lockMessages(sql, place)
        const active = await activeIn(sql, viewer, session, { from: target.seq })
        if (active.length > 0) return { active }
        const turn = await turnOf(sql)
        const replaced = await replaceMessages(sql, place, target.seq)
        if (!replaced.includes(target.id)) throw notInConversation()
        await recordUnlessOwn(sql, viewer, ownerId, { action, target: encodeId('Message', target.id) })
        return turns.store(sql, viewer, session, { ...turn, replaced })
      })
      await engine.offer(sent)
      return sent
    } catch (error) {
      const mayBeTwin = isUniqueViolation(error) || error instanceof ValidationError
      const twin = mayBeTwin ? await turns.repeated(viewer, session.id, key) : null
      if (twin) return twin
      throw error
    }
  }

  return {
    async edit(asker, asked, gone) {
      const { clientId, ...input } = check(editInput, asked)
      const viewer = await actingFor(asker, input)
      const target = await find(viewer, input.messageId)
      const session = await requireOwn(viewer, target)
      const key = clientId ? { clientId, clientDigest: digestOf(input) } : undefined
      const earlier = await turns.repeated(viewer, session.id, key)
      if (earlier) return earlier
      turns.count(viewer, session)
      if (target.role !== 'USER') throw invalid('messageId', 'is no user message; only those can be edited')
      if (target.replacedAt) throw notInConversation()
      const { metadata, id: replacesId } = target
      const question = { content: input.content, metadata, replacesId, ...key }
      await quotas.require(viewer.db, viewer.userId)
      const settled = await turns.settle(viewer, session, { content: input.content })
      const done = { action: 'editMessage', ownerId: ownerOf(target, session) }
      return answerAnew(viewer, session, target, key, gone, done, async () => ({ question, ...settled }))
    },
    async regenerate(asker, asked, gone) {
      const { clientId, ...input } = check(regenerateInput, asked)
      const viewer = await actingFor(asker, input)
      const target = await find(viewer, input.messageId)
      const session = await sessions.require(viewer, target.sessionId, 'EDITOR')
      const key = clientId ? { clientId, clientDigest: digestOf(input) } : undefined
      const earlier = await turns.repeated(viewer, session.id, key)
      if (earlier) return earlier
      turns.count(viewer, session)
      if (target.role !== 'ASSISTANT')
        throw invalid('messageId', 'is no reply; only those can be regenerated')
      if (target.replacedAt) throw notInConversation()
      await quotas.require(viewer.db, viewer.userId)
      const settled = await turns.settle(viewer, session, { ...input, content: null })
      const done = { action: 'regenerateMessage', ownerId: ownerOf(target, session) }
      return answerAnew(viewer, session, target, key, gone, done, async (sql) => {
        const values = [viewer.tenantId, session.id, target.id, target.seq]
        const [question] = await sql<Message>(findQuestion, values)
        if (!question) throw invalid('messageId', 'stands after no user message that could be answered')
        return { question, reply: { replacesId: target.id, ...key }, ...settled }
      })
    },
    async remove(viewer, messageId, gone) {
      const message = await find(viewer, messageId)
      const session = await requireOwn(viewer, message)
      const ownerId = ownerOf(message, session)
      const place = { tenantId: viewer.tenantId, sessionId: session.id }
      return whenQuiet<Removed>(viewer, session.id, gone, async (sql) => {
        const titled = await lockMessages(sql, place)
        const doomed = await messagesErasedWith(sql, viewer.tenantId, messageId)
        if (doomed.length === 0) throw new NotFoundError('message')
        const messageIds = doomed.map(({ id }) => id)
        const active = await activeIn(sql, viewer, session, { ids: messageIds })
        if (active.length > 0) return { active }
        const { session: changed, events } = await eraseMessages(sql, place, doomed, titled)
        const target = encodeId('Message', messageId)
        await recordUnlessOwn(sql, viewer, ownerId, { action: 'deleteMessage', target })
        return { result: { messageIds, session: changed }, events }
      })
    },
  }
}
