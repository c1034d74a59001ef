import type { Session } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { type FeedEvent, toWire } from '../../realtime/feed.ts'

export const sessionColumns = columnsOf('Session', 's')

export const sessionUpdated = (session: Session): FeedEvent => ({
  type: 'SessionUpdated',
  revision: session.revision,
  session: toWire(session),
})

export const sessionDeleted = ({ id, revision }: Session): FeedEvent => ({
  type: 'SessionDeleted',
  revision,
  sessionId: id,
})
