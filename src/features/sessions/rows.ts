import type { Session } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import type { Selection } from '../../lib/selection.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'

export const sessionColumns = columnsOf('Session', 's')

/** What a line of a list shows. Reading all columns took the statement of a list about twice as long. */
export const sessionHeadColumns = columnsOf('Session', 's', '', [
  'tenantId',
  'id',
  'userId',
  'agentId',
  'title',
  'titleSource',
  'isActive',
  'deletedAt',
  'lastMessageAt',
  'messageCount',
  'lastSeq',
  'revision',
  'createdAt',
  'updatedAt',
])

const headFields: ReadonlySet<string> = new Set([
  '__typename',
  'id',
  'agent',
  'title',
  'titleSource',
  'isActive',
  'recentlyActive',
  'lastMessageAt',
  'messageCount',
  'messages',
  'lastMessage',
  'activeRun',
  'createdAt',
  'updatedAt',
])

/** What is selected on sessions, and on their agents. */
export type SessionSelection = Selection & { agentFields: ReadonlySet<string> }

const agentHead = ['tenantId', 'id', 'key', 'name', 'description', 'isActive'] as const
const agentHeadFields: ReadonlySet<string> = new Set(['__typename', ...agentHead])
const agentPrefix = 'agent.'

/** How sessions are read for a selection in one statement, from `sessions s`. */
export type SessionRead = {
  columns: string
  join: string
  /** Whether the rows then hold all that is selected; for the rest there is `withRelations`. */
  isWhole: boolean
  /** Puts into a row what stands in it as columns. */
  attach(row: Session): void
}

/** Only the columns that are needed, and the agents, which every list shows, beside them where their head will do. */
export function readOf({ query, fields, agentFields }: SessionSelection): SessionRead {
  const columns = fields.isSubsetOf(headFields) ? sessionHeadColumns : sessionColumns
  const isWhole = Object.keys(query).length === 0
  return fields.has('agent') && agentFields.isSubsetOf(agentHeadFields)
    ? { ...withAgents, columns: `${columns}, ${withAgents.columns}`, isWhole }
    : { columns, join: '', isWhole, attach() {} }
}

const withAgents: Omit<SessionRead, 'isWhole'> = {
  columns: columnsOf('Agent', 'a', agentPrefix, agentHead),
  join: 'LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id',
  attach(row) {
    const columns = row as unknown as Record<string, unknown>
    const agent = Object.fromEntries(agentHead.map((name) => [name, columns[agentPrefix + name]]))
    Object.assign(row, { agent: row.agentId === null ? null : agent })
  },
}

export const sessionUpdated = (session: Session): ChangeEvent => ({
  type: 'SessionUpdated',
  revision: session.revision,
  session: toWire(session),
})

export const sessionDeleted = ({ id, revision }: Session): ChangeEvent => ({
  type: 'SessionDeleted',
  revision,
  sessionId: id,
})

/** A change of a deleted session: nobody reads its feed, but the next change comes after this one. */
export const changedUnseen = ({ revision }: Session): ChangeEvent => ({ type: 'Lost', revision })
