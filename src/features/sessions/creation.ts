import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Sql, Statement } from '../../db/client.ts'
import { check } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import { actingFor, ownerOf } from '../accounts/people.ts'
import type { Agents } from '../agents/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Templates } from '../templates/service.ts'
import { requireSession } from './access.ts'
import type { ActiveLimit } from './active-limit.ts'
import type { Changes } from './changes.ts'
import type { CreateSession, ForkSession, GetOrCreateSession, SessionChecks } from './checks.ts'
import { madeUnder, onceOnly } from './client-keys.ts'
import { attachDocuments } from './documents.ts'
import { copyConversation, holdSource } from './fork.ts'
import { insertSession, type NewSession, type OpeningMessage, releaseKeys } from './insert.ts'
import { sessionColumns, sessionUpdated } from './rows.ts'

/** `deactivated` are the sessions that had to give way to the limit of active ones. */
export type Created = { session: Session; deactivated: Session[] }

export type GotOrCreated = Created & { created: boolean }

export type Creation = {
  /** Makes a session; the same `clientId` gives the same session, other arguments under it a `ConflictError`. */
  create(viewer: Viewer, input: CreateSession): Promise<Created>
  /** The session of the user under this key, made where there is none; the settings are for a new one only. */
  getOrCreate(viewer: Viewer, input: GetOrCreateSession): Promise<GotOrCreated>
  /** A session of the viewer's that begins with a copy of another's history, up to and including a message. */
  fork(viewer: Viewer, input: ForkSession): Promise<Created>
}

const findByKey: Statement = {
  name: 'session-by-key',
  text: `SELECT ${sessionColumns} FROM sessions s
    WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.key = $3 AND s.deleted_at IS NULL`,
}

// A deleted session gives its key up as soon as a new one asks for it, and not before: it may be restored.
type Dependencies = {
  checks: SessionChecks
  agents: Agents
  models: ModelCatalog
  templates: Templates
  limit: ActiveLimit
  changes: Changes
}

export function createCreation({
  checks,
  agents,
  models,
  templates,
  limit,
  changes,
}: Dependencies): Creation {
  /**
   * Runs `make` with room for one more session, and tells those that had to give way. What `make` needs to stay is locked
   * by `hold` before any of them is: else the erasure of a fork's source, which changes its other forks, would wait for
   * one that gave way while this waits for the source.
   */
  async function withRoom(
    viewer: Viewer,
    draft: NewSession,
    make: (sql: Sql) => Promise<Session>,
    hold?: (sql: Sql) => Promise<void>,
  ): Promise<Created> {
    const made = await limit.inTurn(draft.userId, () =>
      changes.commit<Created>(viewer.db, draft.id, async (sql) => {
        await limit.hold(sql, draft.userId)
        await hold?.(sql)
        const deactivated = await limit.makeRoom(sql, draft)
        return { result: { session: await make(sql), deactivated }, events: [], isNew: true }
      }),
    )
    for (const session of made.deactivated) await changes.announce(session, [sessionUpdated(session)])
    return made
  }

  async function repeated(viewer: Viewer, userId: string, clientId: string, digest: string) {
    const session = (await madeUnder(viewer, userId, [clientId], digest)).get(clientId)
    return session ? { session, deactivated: [] } : null
  }

  async function found(viewer: Viewer, userId: string, key: string): Promise<GotOrCreated | null> {
    const [session] = await viewer.db.sql<Session>(findByKey, [viewer.tenantId, userId, key])
    return session ? { session, deactivated: [], created: false } : null
  }

  /** The row of a new session as its input and its template want it. */
  async function draftOf(viewer: Viewer, input: Omit<CreateSession, 'clientId'>, userId: string) {
    const template = input.template ? await templates.require(viewer, input.template) : null
    const agentId = input.agent ?? (template?.agentId ? encodeId('Agent', template.agentId) : null)
    const agent = agentId ? await agents.find(viewer, agentId) : null
    const model = input.model ?? template?.model ?? null
    if (model) await models.require(viewer, model, input.parameters)
    else models.requireTaken(agent?.model ?? models.defaultModel, input.parameters)
    const title = input.title ?? template?.title ?? null
    const metadata = { ...(template?.metadata as object | undefined), ...input.metadata }
    if (template) check(checks.merged, { metadata })
    const draft: NewSession = {
      tenantId: viewer.tenantId,
      id: newId(),
      userId,
      agentId: agent?.id ?? null,
      title,
      titleSource: title === null ? null : 'PERSON',
      model,
      systemPrompt: input.systemPrompt ?? template?.systemPrompt ?? null,
      contextPolicy: input.contextPolicy ?? template?.contextPolicy ?? null,
      parameters: { ...(template?.parameters as object | undefined), ...input.parameters },
      metadata,
      tags: input.tags ?? [],
      templateId: template?.id ?? null,
    }
    return { draft, opening: (template?.openingMessages ?? []) as OpeningMessage[] }
  }

  return {
    async create(viewer, asked) {
      const { clientId, ...input } = check(checks.create, asked)
      const userId = await ownerOf(viewer, input)
      const digest = digestOf(input)
      const findTwin = () => (clientId ? repeated(viewer, userId, clientId, digest) : null)
      return onceOnly(findTwin, async () => {
        const { draft, opening } = await draftOf(viewer, input, userId)
        const keyed = clientId ? { ...draft, clientId, clientDigest: digest } : draft
        return withRoom(viewer, keyed, async (sql) => {
          const session = await insertSession(sql, keyed, opening)
          await attachDocuments(sql, viewer, session.id, input.documentIds)
          return session
        })
      })
    },
    async getOrCreate(viewer, asked) {
      const { key, ...input } = check(checks.getOrCreate, asked)
      const userId = await ownerOf(viewer, input)
      return onceOnly(
        () => found(viewer, userId, key),
        async () => {
          const { draft, opening } = await draftOf(viewer, input, userId)
          const made = await withRoom(viewer, draft, async (sql) => {
            await sql(releaseKeys, [viewer.tenantId, userId, [key]])
            const session = await insertSession(sql, { ...draft, key }, opening)
            await attachDocuments(sql, viewer, session.id, input.documentIds)
            return session
          })
          return { ...made, created: true }
        },
      )
    },
    async fork(asker, asked) {
      const { clientId, ...input } = check(checks.fork, asked)
      const viewer = await actingFor(asker, input)
      const { tenantId, userId } = viewer
      const source = await requireSession(viewer, input.sessionId, 'VIEWER')
      const digest = digestOf(input)
      const findTwin = () => (clientId ? repeated(viewer, userId, clientId, digest) : null)
      return onceOnly(findTwin, async () => {
        const where = { tenantId, sessionId: source.id, id: input.atMessageId }
        const last = await viewer.db.prisma.message.findFirst({ where, select: { seq: true } })
        if (!last) throw new NotFoundError('message')
        const { agentId, title, titleSource, model, systemPrompt, parameters, metadata, tags } = source
        const { contextPolicy } = source
        const draft: NewSession = {
          ...{ tenantId, id: newId(), userId, agentId, model, systemPrompt, parameters, metadata, tags },
          contextPolicy,
          title: input.title ?? title,
          titleSource: input.title ? 'PERSON' : titleSource,
          parentId: source.id,
          forkedAtSeq: last.seq,
          ...(clientId && { clientId, clientDigest: digest }),
        }
        const from = { sessionId: source.id, messageId: input.atMessageId }
        return withRoom(
          viewer,
          draft,
          async (sql) => copyConversation(sql, await insertSession(sql, draft), from),
          (sql) => holdSource(sql, source),
        )
      })
    },
  }
}
