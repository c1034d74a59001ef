import { actingUser, requireEditor, requireOwner, roleIn } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import { isUniqueViolation, type Session, type Sql, type Statement } from '../../db/client.ts'
import { check } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { ConflictError, LimitError, NotFoundError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import type { Page } from '../../lib/paging.ts'
import type { Agents } from '../agents/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Changes } from './changes.ts'
import { type CreateSession, createSessionChecks, type UpdateSession } from './checks.ts'
import { readSessionPage, type SessionPageArgs } from './list.ts'
import { sessionColumns, sessionUpdated } from './rows.ts'

type Right = 'VIEWER' | 'EDITOR' | 'OWNER'

export type Sessions = {
  /** A page of the sessions that the viewer may see; `query` is Prisma's selection of what hangs on them. */
  page(viewer: Viewer, args: SessionPageArgs, query: object): Promise<Page<Session>>
  /** A session of the viewer's or one that it takes part in; throws `NotFoundError`, or `ForbiddenError` short of the right. */
  require(viewer: Viewer, sessionId: string, right: Right): Promise<Session>
  /** Makes a session; the same `clientId` gives the same session, other arguments under it a `ConflictError`. */
  create(viewer: Viewer, input: CreateSession): Promise<{ session: Session; deactivated: Session[] }>
  /** Changes what is given; null clears where null is a value. */
  update(viewer: Viewer, sessionId: string, input: UpdateSession): Promise<Session>
  /** Takes the session out of every ordinary read; it can be restored. */
  remove(viewer: Viewer, sessionId: string): Promise<{ id: string; deletedAt: Date }>
}

const findSession: Statement = {
  name: 'session-with-role',
  text: `SELECT ${sessionColumns}, p.role AS "participantRole" FROM sessions s
    LEFT JOIN participants p ON p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = $3
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL`,
}

const findByClientId: Statement = {
  name: 'session-by-client-id',
  text: `SELECT ${sessionColumns} FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.client_id = $3`,
}

const insertSession: Statement = {
  name: 'session-insert',
  text: `INSERT INTO sessions AS s (tenant_id, id, user_id, agent_id, title, title_source, model, system_prompt,
      parameters, metadata, tags, client_id, client_digest)
    VALUES ($1, $2, $3, $4, $5, CASE WHEN $5::text IS NULL THEN NULL ELSE 'PERSON'::"TitleSource" END, $6, $7,
      $8, $9, $10, $11, $12)
    RETURNING ${sessionColumns}`,
}

// One creation at a time for a user and an agent, so that the limit holds under races; the lock ends with the transaction.
const lockActive: Statement = {
  name: 'session-lock-active',
  text: `SELECT pg_advisory_xact_lock(hashtextextended($1 || coalesce($2, ''), 0))`,
}

const countActive: Statement = {
  name: 'session-count-active',
  text: `SELECT count(*)::int AS count FROM sessions
    WHERE tenant_id = $1 AND user_id = $2 AND agent_id IS NOT DISTINCT FROM $3 AND is_active AND deleted_at IS NULL`,
}

const deactivateOldest: Statement = {
  name: 'session-deactivate-oldest',
  text: `UPDATE sessions s SET is_active = false, revision = revision + 1, updated_at = now()
    WHERE s.tenant_id = $1 AND s.id IN (
      SELECT id FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND agent_id IS NOT DISTINCT FROM $3
        AND is_active AND deleted_at IS NULL
      ORDER BY last_message_at, id LIMIT $4)
    RETURNING ${sessionColumns}`,
}

type Dependencies = {
  config: Config['sessions']
  agents: Agents
  models: ModelCatalog
  changes: Changes
}

export function createSessions({ config, agents, models, changes }: Dependencies): Sessions {
  const checks = createSessionChecks(config)

  async function require(viewer: Viewer, sessionId: string, right: Right): Promise<Session> {
    const values = [viewer.tenantId, sessionId, viewer.userId]
    const [row] = await viewer.db.sql<Session & { participantRole: Right | null }>(findSession, values)
    const role = row && roleIn(viewer, { ownerId: row.userId, participantRole: row.participantRole })
    if (!row || !role) throw new NotFoundError('session')
    if (right === 'EDITOR') requireEditor(role)
    if (right === 'OWNER') requireOwner(role)
    return row
  }

  /** Makes room under the limit of active sessions; gives the sessions that had to give way. */
  async function makeRoom(sql: Sql, viewer: Viewer, userId: string, agentId: string | null, limit: number) {
    await sql(lockActive, [userId, agentId])
    const [active] = await sql<{ count: number }>(countActive, [viewer.tenantId, userId, agentId])
    const surplus = (active?.count ?? 0) + 1 - limit
    if (surplus <= 0) return []
    if (config.limitPolicy === 'reject')
      throw new LimitError(
        `There are ${limit} active sessions with this agent already, which is the limit; deactivate or delete one.`,
        limit,
      )
    return sql<Session>(deactivateOldest, [viewer.tenantId, userId, agentId, surplus])
  }

  async function repeated(viewer: Viewer, userId: string, clientId: string, digest: string) {
    const [session] = await viewer.db.sql<Session>(findByClientId, [viewer.tenantId, userId, clientId])
    if (!session) return null
    if (session.clientDigest !== digest || session.deletedAt !== null)
      throw new ConflictError(
        `clientId: ${JSON.stringify(clientId)} was used before to create another session.`,
      )
    return { session, deactivated: [] }
  }

  async function insert(viewer: Viewer, input: CreateSession, userId: string, digest: string) {
    const agent = input.agent ? await agents.find(viewer, input.agent) : null
    const limit = agent?.maxActiveSessionsPerUser ?? config.maxActivePerAgent
    const id = newId()
    const made = await changes.commit(viewer.db, id, async (sql) => {
      const deactivated = await makeRoom(sql, viewer, userId, agent?.id ?? null, limit)
      const [session] = await sql<Session>(insertSession, [
        viewer.tenantId,
        id,
        userId,
        agent?.id ?? null,
        input.title ?? null,
        input.model ?? null,
        input.systemPrompt ?? null,
        input.parameters ?? {},
        input.metadata ?? {},
        input.tags ?? [],
        input.clientId ?? null,
        input.clientId ? digest : null,
      ])
      if (!session) throw new Error('The session was not stored.')
      return { result: { session, deactivated }, events: [] }
    })
    for (const session of made.deactivated) await changes.announce(session.id, [sessionUpdated(session)])
    return made
  }

  return {
    page: (viewer, args, query) => readSessionPage(config, viewer, args, query),
    require,
    async create(viewer, asked) {
      const input = check(checks.create, asked)
      const userId = actingUser(viewer, input.userId)
      if (
        userId !== viewer.userId &&
        !(await viewer.db.prisma.user.findFirst({ where: { tenantId: viewer.tenantId, id: userId } }))
      )
        throw new NotFoundError('user')
      if (input.model) models.require(input.model)
      const { clientId, ...rest } = input
      const digest = digestOf(rest)
      const earlier = clientId ? await repeated(viewer, userId, clientId, digest) : null
      if (earlier) return earlier
      try {
        return await insert(viewer, input, userId, digest)
      } catch (error) {
        // A racing twin was first: its session is the answer to both.
        const twin =
          clientId && isUniqueViolation(error) ? await repeated(viewer, userId, clientId, digest) : null
        if (twin) return twin
        throw error
      }
    },
    async update(viewer, sessionId, asked) {
      const input = check(checks.update, asked)
      await require(viewer, sessionId, 'EDITOR')
      if (input.model) models.require(input.model)
      const agent = input.agent ? await agents.find(viewer, input.agent) : null
      const assignments = assignmentsOf(input, agent?.id)
      return changes.commit(viewer.db, sessionId, async (sql) => {
        const [session] = await sql<Session>(updateOf(Object.keys(assignments)), [
          viewer.tenantId,
          sessionId,
          ...Object.values(assignments),
        ])
        if (!session) throw new NotFoundError('session')
        return { result: session, events: [sessionUpdated(session)] }
      })
    },
    async remove(viewer, sessionId) {
      await require(viewer, sessionId, 'OWNER')
      return changes.commit(viewer.db, sessionId, async (sql) => {
        const deletedAt = new Date()
        const [session] = await sql<Session>(updateOf(['deleted_at']), [
          viewer.tenantId,
          sessionId,
          deletedAt,
        ])
        if (!session) throw new NotFoundError('session')
        return {
          result: { id: sessionId, deletedAt },
          events: [{ type: 'SessionDeleted', revision: session.revision, sessionId }],
        }
      })
    },
  }
}

/** The columns that an update sets. A person's title is marked as such; clearing it lets a made one come again. */
function assignmentsOf(input: UpdateSession, agentId: string | undefined): Record<string, unknown> {
  const assignments: Record<string, unknown> = {}
  const set = (column: string, value: unknown) => {
    if (value !== undefined) assignments[column] = value
  }
  set('title', input.title)
  if (input.title !== undefined) set('title_source', input.title === null ? null : 'PERSON')
  if (input.agent !== undefined) set('agent_id', agentId ?? null)
  set('model', input.model)
  set('system_prompt', input.systemPrompt)
  set('parameters', input.parameters ?? undefined)
  set('metadata', input.metadata ?? undefined)
  set('tags', input.tags ?? undefined)
  set('is_active', input.isActive ?? undefined)
  return assignments
}

/** One statement per set of columns; the columns are named in this file, never by a caller. */
function updateOf(columns: readonly string[]): Statement {
  const assignments = columns.map((column, index) => `${column} = $${index + 3}`)
  return {
    // Names of statements are cut at 63 characters.
    name: `session-update-${digestOf(columns).slice(0, 16)}`,
    text: `UPDATE sessions s SET ${[...assignments, 'revision = revision + 1', 'updated_at = now()'].join(', ')}
      WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL RETURNING ${sessionColumns}`,
  }
}
