import type { Session } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
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

/** Whether these fields of the API can be answered from the head of a session. */
export const needsHeadOnly = (fields: ReadonlySet<string>): boolean => fields.isSubsetOf(headFields)

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
