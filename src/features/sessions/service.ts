import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Agent, Session, Sql, Statement } from '../../db/client.ts'
import { check } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import type { Agents } from '../agents/service.ts'
import { recordUnlessOwn } from '../audit/record.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Templates } from '../templates/service.ts'
import { createFind, createRoles, type Right, requirePlace, requireSession, visibleTo } from './access.ts'
import { createActiveLimit } from './active-limit.ts'
import type { Changes } from './changes.ts'
import { createSessionChecks, type UpdateSession } from './checks.ts'
import { type Created, type Creation, createCreation } from './creation.ts'
import { attachDocuments } from './documents.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { createSessionList, type SessionList } from './list.ts'
import { type SessionSelection, sessionColumns, sessionUpdated } from './rows.ts'

export type Sessions = SessionList &
  Creation &
  Lifecycle & {
    /** A session that the viewer may see, with what is selected on it, or null. */
    find(viewer: Viewer, sessionId: string, selection: SessionSelection): Promise<Session | null>
    /** A session of the viewer's or one that it takes part in; throws `NotFoundError`, or `ForbiddenError` short of the right. */
    require(viewer: Viewer, sessionId: string, right: Right): Promise<Session>
    /** The same for where a run is that the viewer may see: a session, or the place of a stateless run. */
    requirePlace(viewer: Viewer, sessionId: string, right: Right): Promise<Session>
    /** What the viewer is to a session that it sees; for many at once, it is one statement. */
    roleOf(viewer: Viewer, session: Session): Promise<Right>
    /**
     * Changes what is given; null clears where null is a value. Making a session active obeys the limit as `create` does,
     * which is for its owners: an editor's change of `agent` or `isActive` is a `ForbiddenError`.
     */
    update(viewer: Viewer, sessionId: string, input: UpdateSession): Promise<Created>
  }

const findForUpdate: Statement = {
  name: 'session-find-for-update',
  text: `SELECT ${sessionColumns} FROM sessions s
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL FOR NO KEY UPDATE`,
}

type Dependencies = {
  config: Config['sessions']
  agents: Agents
  models: ModelCatalog
  templates: Templates
  changes: Changes
}

export function createSessions({ config, agents, models, templates, changes }: Dependencies): Sessions {
  const checks = createSessionChecks(config)
  const limit = createActiveLimit(config)
  const list = createSessionList(config, checks)

  /** Makes room where the update makes the session active, or active with another agent. */
  async function makeRoomFor(sql: Sql, owned: Session, input: UpdateSession, agentId: string | null) {
    if (!mayNeedRoom(input)) return []
    await limit.hold(sql, owned.userId)
    const [session] = await sql<Session>(findForUpdate, [owned.tenantId, owned.id])
    if (!session) throw new NotFoundError('session')
    const place = input.agent === undefined ? session : { ...session, agentId }
    const isSamePlace = session.isActive && place.agentId === session.agentId
    const becomesActive = input.isActive ?? session.isActive
    return becomesActive && !isSamePlace ? limit.makeRoom(sql, place) : []
  }

  /** Parameters alone are for the model that the session has then, whoever chose it. */
  async function requireTaken(viewer: Viewer, owned: Session, input: UpdateSession, given: Agent | null) {
    if (!input.parameters || input.model) return
    const own = input.model === undefined ? owned.model : null
    const agent = input.agent === undefined && !own ? await agents.of(viewer, owned) : given
    models.requireTaken(own ?? agent?.model ?? models.defaultModel, input.parameters)
  }

  return {
    ...list,
    ...createCreation({ checks, agents, models, templates, limit, changes }),
    ...createLifecycle({ limit, changes }),
    find: createFind(),
    require: requireSession,
    requirePlace,
    roleOf: createRoles(),
    async update(viewer, sessionId, asked) {
      const input = check(checks.update, asked)
      const owned = await requireToUpdate(viewer, sessionId, input)
      if (input.model) await models.require(viewer, input.model, input.parameters)
      const agent = input.agent ? await agents.find(viewer, input.agent) : null
      await requireTaken(viewer, owned, input, agent)
      const agentId = agent?.id ?? null
      const assignments = assignmentsOf(input, agentId)
      const done = { action: 'updateSession', target: encodeId('Session', sessionId) }
      const commit = () =>
        changes.commit<Created>(viewer.db, sessionId, async (sql) => {
          const deactivated = await makeRoomFor(sql, owned, input, agentId)
          const values = [viewer.tenantId, sessionId, ...Object.values(assignments)]
          const [session] = await sql<Session>(updateOf(Object.keys(assignments)), values)
          if (!session) throw new NotFoundError('session')
          await attachDocuments(sql, viewer, sessionId, orEmpty(input.documentIds, []))
          await recordUnlessOwn(sql, viewer, owned.userId, done)
          return { result: { session, deactivated }, events: [sessionUpdated(session)] }
        })
      const updated = mayNeedRoom(input) ? await limit.inTurn(owned.userId, commit) : await commit()
      for (const session of updated.deactivated) await changes.announce(session, [sessionUpdated(session)])
      return { ...updated, deactivated: await visibleTo(viewer, updated.deactivated) }
    },
  }
}

const mayNeedRoom = ({ isActive, agent }: UpdateSession) => isActive === true || agent !== undefined

/** Where a session is active touches the others of its user, which are no business of an editor's. */
function requireToUpdate(viewer: Viewer, sessionId: string, { agent, isActive }: UpdateSession) {
  const field = agent !== undefined ? 'agent' : isActive != null ? 'isActive' : null
  if (!field) return requireSession(viewer, sessionId, 'EDITOR')
  return requireSession(viewer, sessionId, 'OWNER', `${field}: only the owner of a session can change it.`)
}

/** The columns that an update sets. A person's title is marked as such; clearing it lets a made one come again. */
function assignmentsOf(input: UpdateSession, agentId: string | null): Record<string, unknown> {
  const assignments: Record<string, unknown> = {}
  const set = (column: string, value: unknown) => {
    if (value !== undefined) assignments[column] = value
  }
  set('title', input.title)
  if (input.title !== undefined) set('title_source', input.title === null ? null : 'PERSON')
  if (input.agent !== undefined) set('agent_id', agentId)
  set('model', input.model)
  set('system_prompt', input.systemPrompt)
  set('parameters', orEmpty(input.parameters, {}))
  set('context_policy', input.contextPolicy)
  set('metadata', orEmpty(input.metadata, {}))
  set('tags', orEmpty(input.tags, []))
  set('is_active', input.isActive ?? undefined)
  return assignments
}

/** What null clears where a session always has a value. */
const orEmpty = <Value>(value: Value, empty: NonNullable<Value>) => (value === null ? empty : value)

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
