import { z } from 'zod'
import { sharedWith } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { check } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { actingFor, type UserReference, userReference } from '../accounts/people.ts'
import type { Changes } from '../sessions/changes.ts'
import { insertNotices } from '../sessions/list-notices.ts'
import type { Sessions } from '../sessions/service.ts'

/** How far somebody has read, which is nobody else's business: it is told to its own lists alone. */
export type ReadMarks = {
  /** Marks the messages of a session as read up to `seq`, or all; a mark never goes back, whichever device is late. */
  mark(
    viewer: Viewer,
    input: { sessionId: string; seq?: number | null | undefined } & UserReference,
  ): Promise<Session>
  /** The highest `seq` that the viewer has read, 0 before the first; for many sessions at once, it is one statement. */
  lastReadSeq(viewer: Viewer, sessionId: string): Promise<number>
  /** How many of the latest messages are of others and not read by the viewer; for many sessions at once, it is one statement. */
  unread(viewer: Viewer, sessionId: string): Promise<number>
  /** The same over the latest sessions that are the viewer's, and those that it takes part in. */
  totalUnread(viewer: Viewer): Promise<number>
}

// One that is no further than before changes nothing, and is not told.
const markRead: Statement = {
  name: 'read-mark-set',
  text: `WITH marked AS (
      INSERT INTO read_marks AS r (tenant_id, session_id, user_id, last_read_seq)
      SELECT s.tenant_id, s.id, $3, $4 FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 FOR KEY SHARE
      ON CONFLICT (tenant_id, session_id, user_id) DO UPDATE
        SET last_read_seq = excluded.last_read_seq, updated_at = now()
        WHERE excluded.last_read_seq > r.last_read_seq
      RETURNING tenant_id, user_id)
    ${insertNotices('marked', '$5', 'user_id')} RETURNING id`,
}

const findMarks: Statement = {
  name: 'read-marks-of-sessions',
  text: `SELECT session_id AS "sessionId", last_read_seq AS "value" FROM read_marks
    WHERE tenant_id = $1 AND user_id = $2 AND session_id = ANY($3)`,
}

// Said with CASE, as row-level security takes coalesce for a leak and keeps it out of the index on `seq`.
const mark = 'CASE WHEN r.last_read_seq IS NULL THEN 0 ELSE r.last_read_seq END'

/** What is counted at most: people do not tell larger numbers apart, and a count reads each message. */
export const mostUnread = { ofSession: 1_000, sessions: 1_000, total: 10_000 }

// Of the latest messages only. A session that is read to its end costs no look at its messages.
const unreadIn = (sessions: string) => `${sessions} s
  LEFT JOIN read_marks r ON r.tenant_id = $1 AND r.session_id = s.id AND r.user_id = $2
  CROSS JOIN LATERAL (
    SELECT m.author_id, m.replaced_at FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = s.id AND m.seq > ${mark}
    ORDER BY m.seq DESC LIMIT ${mostUnread.ofSession}) m
  WHERE s.last_seq > ${mark} AND m.author_id IS DISTINCT FROM $2 AND m.replaced_at IS NULL`

const findUnread: Statement = {
  name: 'unread-of-sessions',
  text: `SELECT s.id AS "sessionId", count(*)::int AS "value"
    FROM ${unreadIn('(SELECT id, last_seq FROM sessions WHERE tenant_id = $1 AND id = ANY($3))')} GROUP BY s.id`,
}

const latestOf = (from: string, ...which: string[]) => `(SELECT s.id, s.last_seq FROM ${from}
  WHERE ${['s.tenant_id = $1', ...which].join(' AND ')} AND s.deleted_at IS NULL AND NOT s.is_stateless
  ORDER BY s.last_message_at DESC, s.id DESC LIMIT ${mostUnread.sessions})`

const sumUnread: Statement = {
  name: 'unread-of-viewer',
  text: `WITH listed AS (${latestOf('sessions s', 's.user_id = $2')} UNION ALL
    ${latestOf(sharedWith('$2'))})
    SELECT count(*)::int AS total FROM (SELECT FROM ${unreadIn('listed')} LIMIT ${mostUnread.total}) unread`,
}

const inputCheck = z.object({ seq: z.int().min(0, 'is below 0').nullish(), ...userReference })

type Dependencies = { sessions: Sessions; changes: Pick<Changes, 'list'> }

export function createReadMarks({ sessions, changes }: Dependencies): ReadMarks {
  const valuesBy = (statement: Statement) =>
    createBatch<Viewer, string, number>(async (viewer, sessionIds) => {
      const values = [viewer.tenantId, viewer.userId, sessionIds]
      const rows = await viewer.db.sql<{ sessionId: string; value: number }>(statement, values)
      return new Map(rows.map(({ sessionId, value }) => [sessionId, value]))
    })
  const markOf = valuesBy(findMarks)
  const unreadOf = valuesBy(findUnread)

  return {
    async mark(asker, { sessionId, ...asked }) {
      const { seq, ...named } = check(inputCheck, asked)
      const viewer = await actingFor(asker, named)
      const session = await sessions.require(viewer, sessionId, 'VIEWER')
      if (seq != null && seq > session.lastSeq)
        throw invalid('seq', `is above ${session.lastSeq}, the last message of the session`)
      const { tenantId, userId } = viewer
      const values = [tenantId, sessionId, userId, seq ?? session.lastSeq, newId()]
      const [notice] = await viewer.db.sql<{ id: string }>(markRead, values)
      if (notice) changes.list(session, { only: userId, notices: [notice.id] })
      return session
    },
    lastReadSeq: async (viewer, sessionId) => (await markOf(viewer, sessionId)) ?? 0,
    unread: async (viewer, sessionId) => (await unreadOf(viewer, sessionId)) ?? 0,
    async totalUnread({ db, tenantId, userId }) {
      const [row] = await db.sql<{ total: number }>(sumUnread, [tenantId, userId])
      return row?.total ?? 0
    },
  }
}
