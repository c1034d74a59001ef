import type { Session } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import type { Selection } from '../../lib/selection.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'

export const sessionColumns = columnsOf('Session', 's')

/** What the rules of access ask of a row, whatever is selected. */
const alwaysRead = ['id', 'userId', 'deletedAt'] as const

/**
 * What the fields that lists usually show are read from. Each column more costs PostgreSQL and Node alike: the statement of
 * a list took twice as long with all of them. Of a field that is not here, all columns are read.
 */
const columnsOfFields: Readonly<Record<string, readonly (keyof Session)[]>> = {
  __typename: [],
  id: [],
  agent: ['agentId'],
  title: ['title'],
  titleSource: ['titleSource'],
  isActive: ['isActive'],
  recentlyActive: ['lastSeq', 'lastMessageAt'],
  lastMessageAt: ['lastSeq', 'lastMessageAt'],
  messageCount: ['messageCount'],
  messages: [],
  lastMessage: [],
  activeRun: [],
  createdAt: ['createdAt'],
  updatedAt: ['updatedAt'],
}

/** Whether the row of a session holds all that these fields show, so that nothing of Prisma's is to hang on it. */
export const isOfRow = (fields: ReadonlySet<string>): boolean => fields.isSubsetOf(fieldsOfRow)
const fieldsOfRow: ReadonlySet<string> = new Set(Object.keys(columnsOfFields))

/** What is selected on sessions, and on their agents. */
export type SessionSelection = Selection & { agentFields: ReadonlySet<string> }

const agentFieldsOfRow: ReadonlySet<string> = new Set([
  '__typename',
  ...['id', 'key', 'name', 'description', 'isActive'],
])
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

const known = new WeakMap<SessionSelection, Map<keyof Session | undefined, SessionRead>>()

/**
 * Only the columns that are needed, and the agents, which every list shows, beside them where their row will do. `order`:
 * the field that the list is in the order of, by which its cursors tell a place. Worked out once for a selection.
 */
export function readOf(selection: SessionSelection, order?: keyof Session): SessionRead {
  const ofSelection = known.get(selection) ?? new Map<keyof Session | undefined, SessionRead>()
  known.set(selection, ofSelection)
  const read = ofSelection.get(order) ?? findRead(selection, order)
  ofSelection.set(order, read)
  return read
}

function findRead({ query, fields, agentFields }: SessionSelection, order?: keyof Session): SessionRead {
  const isWhole = Object.keys(query).length === 0
  const columns = isOfRow(fields) ? columnsFor(fields, order) : sessionColumns
  if (!fields.has('agent') || !agentFields.isSubsetOf(agentFieldsOfRow))
    return { columns, join: '', isWhole, attach() {} }
  const names = ['id', ...agentFields].filter((name) => name !== '__typename')
  const agentNames = [...new Set(names)]
  const agentColumns = columnsOf('Agent', 'a', agentPrefix, agentNames)
  return {
    columns: `${columns}, ${agentColumns}`,
    join: 'LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id',
    isWhole,
    attach: attachingAgent(agentNames),
  }
}

function columnsFor(fields: ReadonlySet<string>, order?: keyof Session): string {
  const ofFields = [...fields].flatMap((field) => columnsOfFields[field] ?? [])
  return columnsOf('Session', 's', '', [...new Set([...alwaysRead, ...(order ? [order] : []), ...ofFields])])
}

function attachingAgent(names: readonly string[]): SessionRead['attach'] {
  const columns = names.map((name) => [name, agentPrefix + name] as const)
  return (row) => {
    const values = row as unknown as Record<string, unknown>
    values.agent = row.agentId === null ? null : agentIn(values, columns)
  }
}

function agentIn(values: Record<string, unknown>, columns: readonly (readonly [string, string])[]) {
  const agent: Record<string, unknown> = {}
  for (const [name, column] of columns) agent[name] = values[column]
  return agent
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

/** A change of a session whose feed nobody reads, such as a deleted one; the next change comes after this one. */
export const changedUnseen = ({ revision }: Pick<Session, 'revision'>): ChangeEvent => ({
  type: 'Lost',
  revision,
})
