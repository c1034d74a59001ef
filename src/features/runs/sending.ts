import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Run, Session, Sql, Statement } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/failures.ts'
import { check, clientKey, modelId, modelParameters, text } from '../../lib/checks.ts'
import { contextPolicy } from '../../lib/context-policy.ts'
import { digestOf } from '../../lib/digest.ts'
import { ForbiddenError, LimitError, RunInProgressError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { actingFor, userReference } from '../accounts/people.ts'
import { recordAction } from '../audit/record.ts'
import { lockMessages } from '../messages/removal.ts'
import type { ClientKey } from '../messages/service.ts'
import type { Quotas } from '../quotas/service.ts'
import { requiring } from '../sessions/access.ts'
import type { Change, Changes } from '../sessions/changes.ts'
import { maxDocuments } from '../sessions/checks.ts'
import { requireDocuments } from '../sessions/documents.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Engine } from './engine.ts'
import { runColumns, runQueued } from './rows.ts'
import type { Runs } from './service.ts'
import type { Sent, StoredTurn, Turn, Turns } from './turn.ts'

export type Sending = {
  /**
   * Stores a user message with an empty reply and a run, and has it answered. The same `clientId` gives the same three
   * rows and never a second model call; other content under it is a `ConflictError`. `onBusy` settles what becomes of
   * it in a session that is answering; that is decided under the session's lock.
   */
  send(viewer: Viewer, input: unknown): Promise<Sent>
}

/** What to do in a session that is answering already. */
export const busyPolicies = ['ENQUEUE', 'REJECT', 'INTERRUPT', 'ROLLBACK'] as const
type BusyPolicy = (typeof busyPolicies)[number]

type Asked = Run & { authorId: string | null }

const findOpen: Statement = {
  name: 'run-open-of-session',
  text: `SELECT ${runColumns}, q.author_id AS "authorId" FROM runs r
    JOIN messages q ON q.tenant_id = r.tenant_id AND q.id = r.user_message_id
    WHERE r.tenant_id = $1 AND r.session_id = $2 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')
    ORDER BY r.status = 'QUEUED', r.queue_rank, r.id`,
}

const interruptRun: Statement = {
  name: 'run-interrupt',
  text: `UPDATE runs r SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
      is_rolled_back = is_rolled_back OR $3
    WHERE r.tenant_id = $1 AND r.id = $2 RETURNING ${runColumns}`,
}

type Stored = StoredTurn & { interrupted: Run | null }

type Dependencies = {
  config: Config['sessions']
  sessions: Sessions
  turns: Turns
  runs: Runs
  changes: Changes
  engine: Engine
  quotas: Quotas
}

export function createSending({
  config,
  sessions,
  turns,
  runs,
  changes,
  engine,
  quotas,
}: Dependencies): Sending {
  const sendInput = z.object({
    sessionId: z.uuid(),
    content: text({ min: 1, max: config.messageMaxLength }),
    clientId: clientKey.nullish(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
    contextPolicy: contextPolicy.nullish(),
    documentIds: z.array(z.uuid()).max(maxDocuments, `has more than ${maxDocuments} entries`).nullish(),
    onBusy: z.enum(busyPolicies).nullish(),
    ...userReference,
  })

  /** Stores the turn in place of the one that is being answered, as far as there is one. */
  async function storeUrgent(
    sql: Sql,
    viewer: Viewer,
    session: Session,
    turn: Turn,
    policy: Exclude<BusyPolicy, 'ENQUEUE'>,
    isOwner: boolean,
  ): Promise<Change<Stored>> {
    const { tenantId } = viewer
    await lockMessages(sql, { tenantId, sessionId: session.id })
    const open = await sql<Asked>(findOpen, [tenantId, session.id])
    if (policy === 'REJECT' && open.length > 0) throw new RunInProgressError()
    // One that waits to go on with the results of its tools has begun, too.
    const active = open.find(({ status, startedAt }) => status !== 'QUEUED' || startedAt !== null)
    const isRolledBack = policy === 'ROLLBACK'
    // One that is still ending was taken back by somebody else before: it is not taken from its author twice.
    const takenFrom = active && isRolledBack && !active.isRolledBack ? active.authorId : viewer.userId
    if (takenFrom !== viewer.userId && !isOwner)
      throw new ForbiddenError('Only its author and the owner of the session can take a question back.')
    const { result, events } = await turns.store(sql, viewer, session, { ...turn, isFirst: true })
    if (active && takenFrom !== viewer.userId)
      await recordAction(sql, viewer, {
        action: 'sendMessage',
        target: encodeId('Message', active.userMessageId),
      })
    const [interrupted] = active ? await sql<Run>(interruptRun, [tenantId, active.id, isRolledBack]) : []
    const moved = open.filter((run) => run !== active).map((run) => runQueued(run, result))
    return { result: { ...result, interrupted: interrupted ?? null }, events: [...events, ...moved] }
  }

  async function isOwnerOf(viewer: Viewer, sessionId: string): Promise<boolean> {
    try {
      await sessions.require(viewer, sessionId, 'OWNER')
      return true
    } catch (error) {
      if (error instanceof ForbiddenError) return false
      throw error
    }
  }

  async function store(viewer: Viewer, session: Session, turn: Turn, policy: BusyPolicy): Promise<Stored> {
    const isOwner = policy === 'ROLLBACK' && (await isOwnerOf(viewer, session.id))
    if (policy !== 'ENQUEUE')
      return changes.commit<Stored>(viewer.db, session.id, (sql) =>
        storeUrgent(sql, viewer, session, turn, policy, isOwner),
      )
    return changes.commitStatement<Stored>(viewer.db, session.id, async (sql) => {
      const { result, events } = await turns.store(sql, viewer, session, turn)
      return { result: { ...result, interrupted: null }, events }
    })
  }

  /** All that a send depends on, in one round trip. */
  async function read(viewer: Viewer, sessionId: string, key: ClientKey | undefined) {
    const { tenantId, userId } = viewer
    const steps = [
      requiring(viewer, sessionId, 'EDITOR'),
      turns.agentOf(tenantId, sessionId),
      quotas.excessOf(tenantId, userId),
    ] as const
    if (!key) return [...(await viewer.db.sql.pipeline(steps)), null] as const
    return viewer.db.sql.pipeline([...steps, turns.repeating(viewer, sessionId, key)])
  }

  return {
    async send(asker, asked) {
      const { onBusy, ...input } = check(sendInput, asked)
      const viewer = await actingFor(asker, input)
      const { sessionId, clientId, ...content } = input
      const key = clientId ? { clientId, clientDigest: digestOf(content) } : undefined
      const [session, agent, excess, earlier] = await read(viewer, sessionId, key)
      if (earlier) return turns.sentWith(viewer, earlier)
      turns.count(viewer, session)
      if (excess) throw excess
      const settled = await turns.settle(viewer, session, input, agent)
      const documentIds = input.documentIds
        ? await requireDocuments(viewer.db.sql, viewer, input.documentIds)
        : undefined
      const turn = {
        question: { content: input.content, ...key },
        ...settled,
        documentIds,
        contextPolicy: input.contextPolicy ?? null,
      }
      try {
        const { interrupted, ...sent } = await store(viewer, session, turn, onBusy ?? 'ENQUEUE')
        await engine.offer(sent)
        // The wish is stored: where this fails, the heartbeat of the run's node or the sweep finds it.
        if (interrupted) void runs.halt(viewer.db, interrupted).catch(() => {})
        return sent
      } catch (error) {
        const twin = mayBeTwin(error) ? await turns.repeated(viewer, sessionId, key) : null
        if (twin) return twin
        throw error
      }
    },
  }
}

/** A copy of a send that was stored a moment before finds its place taken, the session busy by it, or the line full. */
const mayBeTwin = (error: unknown): boolean =>
  isUniqueViolation(error) || error instanceof RunInProgressError || error instanceof LimitError
