import type { Statement, Step } from '../../db/client.ts'
import { rowsOf } from '../../db/steps.ts'

/**
 * How many runs may be answered at once. All who let a run begin take advisory locks first and count after, each in a
 * statement of its own, so that they count what the ones before them stored; the locks end with the transaction.
 *
 * Locks are always taken in this order: the row of the session, the tenant, the user, the lane; or last, and after all
 * rows, that of the ends.
 */

const key = (...parts: string[]) => `hashtextextended('runs of ' || ${parts.join(" || ' ' || ")}, 0)`

/**
 * A send takes its tenant's lock together with others, up to one per lane, and none waits for another tenant's or user's
 * claims: it holds its session's row already. It may begin where the tenant has room for all lanes at once, since each
 * of them may be letting one begin that it does not see. Whether it has the locks it notes for the statement that counts.
 */
const tryRoomStatement: Statement = {
  name: 'run-try-room',
  text: `SELECT set_config('app.has_room', (pg_try_advisory_xact_lock_shared(${key('$1::uuid')})
      AND pg_try_advisory_xact_lock(${key('$1::uuid', '$2::uuid')}))::text, true),
    pg_advisory_xact_lock(${key('$1::uuid', "'lane'", 'pg_backend_pid() % $3::int')})`,
}

export const tryRoom = (tenantId: string, userId: string, lanes: number): Step<unknown> =>
  rowsOf(tryRoomStatement, [tenantId, userId, lanes])

/** Whether the room was tried in this transaction, and found. */
export const hasRoom = `current_setting('app.has_room', true) = 'true'`

/**
 * Whether something waits in a tenant is looked at by whoever ends a run, and by whoever stores one that must wait. One of
 * the two sees the other: an end takes this lock together with others before it looks, and holds it until it is
 * committed; whoever takes what waits has it for itself.
 */
const endsKey = key('$1::uuid', "'ends'")
const lockEndStatement: Statement = {
  name: 'run-lock-end',
  text: `SELECT pg_advisory_xact_lock_shared(${endsKey})`,
}
const lockEndsStatement: Statement = {
  name: 'run-lock-ends',
  text: `SELECT pg_advisory_xact_lock(${endsKey})`,
}
const findAnyWaiting: Statement = {
  name: 'run-any-waiting',
  text: `SELECT EXISTS (SELECT FROM runs r WHERE r.tenant_id = $1 AND r.status = 'QUEUED') AS "isWaiting"`,
}

/** To be the last of what ends a run; gives whether another one of the tenant waits. */
export const lookForWaiting = (tenantId: string): [Step<unknown>, Step<boolean>] => [
  rowsOf(lockEndStatement, [tenantId]),
  {
    statement: findAnyWaiting,
    values: [tenantId],
    read: ([row]: { isWaiting: boolean }[]) => row?.isWaiting ?? false,
  },
]

/** Waits for the ends that are being committed. */
export const lockEnds = (tenantId: string): Step<unknown> => rowsOf(lockEndsStatement, [tenantId])

/** A claim has the tenant's lock for itself, and may take its last place. The session may be deleted. */
export const lockRoom: Statement = {
  name: 'run-lock-room',
  text: `SELECT pg_advisory_xact_lock(${key('$1::uuid')}), pg_advisory_xact_lock(${key('$1::uuid', '$3::uuid')})
    FROM (SELECT FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 FOR NO KEY UPDATE) AS s`,
}

/** The same for many claims of one tenant, whose sessions are locked already; users in the order of their keys. */
export const lockTenant: Statement = {
  name: 'run-lock-tenant',
  text: `SELECT pg_advisory_xact_lock(${key('$1::uuid')})`,
}
export const lockUsers: Statement = {
  name: 'run-lock-users',
  text: `SELECT pg_advisory_xact_lock(u.key)
    FROM (SELECT ${key('$1::uuid', 'id')} AS key FROM unnest($2::uuid[]) AS id ORDER BY 1 OFFSET 0) AS u`,
}

/** More than the connections of one node: a send rarely finds another one in its lane. */
const maxLanes = 16

export const lanesOf = (perTenant: number) => Math.max(1, Math.min(maxLanes, Math.floor(perTenant / 3)))

/** How many runs of a user are being answered. */
export const userHas = (tenantId: string, userId: string) =>
  `(SELECT count(*) FROM runs u WHERE u.tenant_id = ${tenantId} AND u.user_id = ${userId} AND u.status = 'RUNNING')`

export const tenantHas = (tenantId: string) =>
  `(SELECT count(*) FROM runs t WHERE t.tenant_id = ${tenantId} AND t.status = 'RUNNING')`

/** Whether a waiting run `r` is the next of its session, which answers nothing else. */
export const isNextIn = (sessionId: string) => `NOT EXISTS (SELECT FROM runs o WHERE o.tenant_id = r.tenant_id
    AND o.session_id = ${sessionId} AND o.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')
    AND (o.status <> 'QUEUED' OR (o.queue_rank, o.id) < (r.queue_rank, r.id)))`

export const leaseEnd = (leaseMs: string) => `clock_timestamp() + ${leaseMs} * interval '1 ms'`
