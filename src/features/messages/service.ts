import { z } from 'zod'
import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Message, Prisma, Statement, Step } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/failures.ts'
import { runStep } from '../../db/steps.ts'
import { createBatch } from '../../lib/batch.ts'
import { check, clientKey, jsonObject, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { ConflictError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { type Page, pageOf, planPage } from '../../lib/paging.ts'
import { actingFor, type UserReference, userReference } from '../accounts/people.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import { appending, type Draft, messageAdded, messageColumns, storedIn, titleOf } from './append.ts'
import { createHotPages, everyField } from './hot-pages.ts'
import { createJoinedAppends } from './joined-appends.ts'
import { type Links, linksOf, toolCall } from './links.ts'
import { isPlain, type MessagePageArgs, messageOrders, readMessagePage } from './page.ts'

export type Messages = {
  /**
   * Stores messages in this order, all or none, and answers nothing. Repeated under the same keys it gives what is stored.
   * `author`: the user whom a service token acts for.
   */
  add(viewer: Viewer, sessionId: string, messages: unknown, author?: UserReference): Promise<Message[]>
  /** A page of a session that the viewer may see. Where these fields need no more, only the head of each is read. */
  page(
    viewer: Viewer,
    sessionId: string,
    args: MessagePageArgs,
    fields: ReadonlySet<string>,
  ): Promise<Page<Message>>
  /** The same of a snapshot, to match what else is read of it. */
  pageIn(
    prisma: Prisma.TransactionClient,
    viewer: Viewer,
    sessionId: string,
    args: MessagePageArgs,
  ): Promise<Page<Message>>
  /** The message with this `seq`, or null where the viewer may not see the session; for many at once, it is one query. */
  at(viewer: Viewer, sessionId: string, seq: number): Promise<Message | null>
  /** The latest message of a conversation that the viewer may see; for many at once, it is one statement. */
  last(viewer: Viewer, sessionId: string): Promise<Message | null>
  /** The versions of a message, oldest first; the latest 100 of them. */
  versions(viewer: Viewer, messageId: string): Promise<Message[]>
  /**
   * What was stored under these keys, in their order, or null where none is used. Other content under one is a
   * `ConflictError`, and so is a key in use beside one that is not.
   */
  findRepeated(viewer: Viewer, sessionId: string, keys: readonly ClientKey[]): Promise<Message[] | null>
  /** The same, as a step. */
  repeating(viewer: Viewer, sessionId: string, keys: readonly ClientKey[]): Step<Message[] | null>
}

export type ClientKey = { clientId: string; clientDigest: string }

const findByClientIds: Statement = {
  name: 'message-by-client-ids',
  text: `SELECT ${messageColumns} FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.client_id = ANY($3)
    ORDER BY array_position($3, m.client_id)`,
}

const findToolCalls: Statement = {
  name: 'message-tool-calls',
  text: `SELECT call->>'id' AS id FROM messages m, jsonb_array_elements(m.tool_calls) AS call
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.role = 'ASSISTANT' AND m.replaced_at IS NULL
      AND call->>'id' = ANY($3)`,
}

const findVersions: Statement = {
  name: 'message-versions',
  text: `WITH RECURSIVE older AS (
      SELECT m.id, m.replaces_id FROM messages m WHERE m.tenant_id = $1 AND m.id = $2
      UNION ALL
      SELECT m.id, m.replaces_id FROM messages m JOIN older o ON m.tenant_id = $1 AND m.id = o.replaces_id
    ), newer AS (
      SELECT m.id FROM messages m WHERE m.tenant_id = $1 AND m.id = $2
      UNION ALL
      SELECT m.id FROM messages m JOIN newer n ON m.tenant_id = $1 AND m.replaces_id = n.id)
    SELECT ${messageColumns} FROM messages m
    WHERE m.tenant_id = $1 AND m.id IN (SELECT id FROM older UNION SELECT id FROM newer)
    ORDER BY m.seq DESC LIMIT 100`,
}

type Dependencies = { config: Config['sessions']; sessions: Sessions; changes: Changes }

export function createMessages({ config, sessions, changes }: Dependencies): Messages {
  const sizes = config.messagePageSizes
  const hotPages = createHotPages()
  const joined = createJoinedAppends()
  const messagesAt = createBatch<Viewer, string, Message>(async (viewer, places) => {
    const OR = places.map((place) => {
      const [sessionId, seq] = place.split(' ')
      return { sessionId, seq: Number(seq) }
    })
    const where = { tenantId: viewer.tenantId, OR, ...onVisibleSession(viewer) }
    const found = await viewer.db.prisma.message.findMany({ where })
    return new Map(found.map((message) => [`${message.sessionId} ${message.seq}`, message]))
  })
  const drafts = z
    .array(
      z.object({
        role: z.enum(['USER', 'ASSISTANT', 'SYSTEM', 'TOOL']),
        content: text({ max: config.messageMaxLength }).nullish(),
        toolCalls: z.array(toolCall).max(32, 'has more than 32 entries').nullish(),
        toolCallId: text({ min: 1, max: 255 }).nullish(),
        metadata: jsonObject({ maxBytes: config.metadataMaxBytes }).nullish(),
        clientId: clientKey.nullish(),
      }),
    )
    .min(1, 'is empty; 1 to 100 messages are allowed')
    .max(100, 'has too many entries; 1 to 100 messages are allowed')
    .superRefine((messages, context) => {
      const keys = messages.map(({ clientId }) => clientId)
      const fault = (index: number, message: string) =>
        context.addIssue({ code: 'custom', path: [index, 'clientId'], message })
      for (const [index, key] of keys.entries()) {
        if (key && keys.indexOf(key) < index)
          fault(index, 'is the same key as that of an earlier message; each needs its own')
        // What has none could not be known again when the others are repeated.
        if (!key && keys.some(Boolean))
          fault(index, 'is missing; where one message has a key, each of them needs one')
      }
    })

  // Made once: zod compiles a schema at its first use.
  const input = z.object({ messages: drafts, ...userReference })

  const repeating: Messages['repeating'] = (viewer, sessionId, keys) => ({
    statement: findByClientIds,
    values: [viewer.tenantId, sessionId, keys.map(({ clientId }) => clientId)],
    read(found: Message[]) {
      if (found.length === 0) return null
      const digests = new Map(keys.map(({ clientId, clientDigest }) => [clientId, clientDigest]))
      const other = found.find(({ clientId, clientDigest }) => digests.get(clientId ?? '') !== clientDigest)
      if (other)
        throw new ConflictError(
          `clientId: ${JSON.stringify(other.clientId)} was used before with other content.`,
        )
      const isFound = ({ clientId }: ClientKey) => found.some((message) => message.clientId === clientId)
      const added = keys.find((key) => !isFound(key))
      if (added)
        throw new ConflictError(
          `clientId: ${JSON.stringify(found[0]?.clientId)} is the key of a stored message and ${JSON.stringify(added.clientId)} is not; send what is new by itself.`,
        )
      return found
    },
  })

  async function findRepeated(viewer: Viewer, sessionId: string, keys: readonly ClientKey[]) {
    if (keys.length === 0) return null
    const [found] = await viewer.db.sql.pipeline([repeating(viewer, sessionId, keys)])
    return found
  }

  /** Every tool result must answer a call that stands before it, here or in the session. */
  async function checkLinks(viewer: Viewer, sessionId: string, { faults, unknown }: Links) {
    if (unknown.size > 0) {
      const stored = await viewer.db.sql<{ id: string }>(findToolCalls, [
        viewer.tenantId,
        sessionId,
        [...unknown.values()],
      ])
      const known = new Set(stored.map(({ id }) => id))
      for (const [index, id] of unknown)
        if (!known.has(id))
          faults.push({
            path: `messages.${index}.toolCallId`,
            message: `${JSON.stringify(id)} is no tool call of an earlier message`,
          })
    }
    if (faults.length > 0) throw new ValidationError(faults)
  }

  return {
    findRepeated,
    repeating,
    async page({ db, tenantId }, sessionId, args, fields) {
      if (!isPlain(args)) return readMessagePage(db, sessionId, args, sizes)
      const order = messageOrders[args.orderBy ?? 'SEQ_ASC']
      const plan = planPage(args, sizes, order)
      if (plan.skip > 0) return readMessagePage(db, sessionId, args, sizes)
      const rows = await hotPages(db, sessionId, plan, fields)
      const count = () => db.prisma.message.count({ where: { tenantId, sessionId, replacedAt: null } })
      return pageOf(plan, order, rows, count)
    },
    pageIn: (prisma, { db }, sessionId, args) => readMessagePage(db, sessionId, args, sizes, prisma),
    at: async (viewer, sessionId, seq) => (await messagesAt(viewer, `${sessionId} ${seq}`)) ?? null,
    async last({ db }, sessionId) {
      const plan = planPage({ first: 1 }, sizes, messageOrders.SEQ_DESC)
      return (await hotPages(db, sessionId, plan, everyField))[0] ?? null
    },
    versions: async (viewer, messageId) =>
      (await viewer.db.sql<Message>(findVersions, [viewer.tenantId, messageId])).reverse(),
    async add(asker, sessionId, asked, author = {}) {
      const { messages, ...named } = check(input, { messages: asked, ...author })
      const viewer = await actingFor(asker, named)
      const keyed = messages.map((message) => ({ message, key: keyOf({ ...message, ...named }) }))
      const keys = keyed.flatMap(({ key }) => key ?? [])
      const links = linksOf(messages)
      // What needs nothing looked up is stored at once: the statement itself asks for the right, and for the keys.
      if (links.faults.length > 0 || links.unknown.size > 0) {
        await sessions.require(viewer, sessionId, 'EDITOR')
        const repeated = await findRepeated(viewer, sessionId, keys)
        if (repeated) return repeated
        await checkLinks(viewer, sessionId, links)
      }
      const drafts = keyed.map(({ message, key }) => draftOf(message, key, viewer))
      try {
        return await store(viewer, sessionId, drafts, keys)
      } catch (error) {
        const isThere = error instanceof NotFoundError || isUniqueViolation(error)
        if (!isThere) throw error
        // Of a session that is there, it is the right that lacks, or a key is in use.
        await sessions.require(viewer, sessionId, 'EDITOR')
        const twins = await findRepeated(viewer, sessionId, keys)
        if (twins) return twins
        throw error
      }
    },
  }

  /** Where nobody follows the session, nothing of it is read back to be told, and it goes with others of the tenant. */
  function store(
    viewer: Viewer,
    sessionId: string,
    drafts: readonly Draft[],
    keys: readonly ClientKey[],
  ): Promise<Message[]> {
    const place = { tenantId: viewer.tenantId, sessionId }
    const options = {
      writer: viewer,
      newKeys: keys.map(({ clientId }) => clientId),
      title: titleOf(drafts, config.titleMaxLength),
    }
    return changes.commitStatement(viewer.db, sessionId, async (sql) => {
      const session = changes.isHeard(sessionId) ? null : await joined(sql, place, drafts, options)
      if (session) return { result: storedIn(place, drafts, session), events: [changedUnseen(session)] }
      // Also where the session was locked, or lacks what the append asks for: which of the two, this waits to find out.
      const { session: whole, messages } = await runStep(sql, appending(place, drafts, options))
      const added = messages.map((message) => messageAdded(message, whole))
      return { result: messages, events: [...added, sessionUpdated(whole)] }
    })
  }
}

type AddedMessage = {
  role: Message['role']
  clientId?: string | null | undefined
  content?: string | null | undefined
} & {
  toolCalls?: { id: string; name: string; arguments: Record<string, unknown> }[] | null | undefined
  toolCallId?: string | null | undefined
  metadata?: Record<string, unknown> | null | undefined
}

function keyOf({ clientId, ...content }: AddedMessage & UserReference): ClientKey | null {
  return clientId ? { clientId, clientDigest: digestOf(content) } : null
}

function draftOf(message: AddedMessage, key: ClientKey | null, viewer: Viewer): Draft {
  return {
    id: newId(),
    role: message.role,
    content: message.content ?? null,
    toolCalls: (message.toolCalls ?? []) as Draft['toolCalls'],
    toolCallId: message.toolCallId ?? null,
    metadata: (message.metadata ?? {}) as Draft['metadata'],
    // Who wrote it: the agent stands for its answers, a person for all that it stores by hand.
    isByAgent: message.role === 'ASSISTANT',
    authorId: message.role === 'ASSISTANT' ? null : viewer.userId,
    clientId: key?.clientId ?? null,
    clientDigest: key?.clientDigest ?? null,
  }
}
