import { z } from 'zod'
import { knownUsers } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Participant, Session, Sql, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { check, text } from '../../lib/checks.ts'
import { invalid, LimitError, NotFoundError } from '../../lib/errors.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import { ensureUser, refuseBoth, type UserReference } from '../accounts/people.ts'
import { recordOfSession } from '../audit/record.ts'
import type { Changes, Listed } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import { createPeople, type Person } from './people.ts'

/** The session after the change, and whom it was about. */
export type Participation = { session: Session; userId: string }

/** Who else takes part in a session. Its own user always does, as an owner, and has no row here. */
export type Participants = {
  /** Everybody who takes part, its own user first; for many sessions at once, it is two statements. */
  of(viewer: Viewer, session: Session): Promise<Person[]>
  /** Lets a user take part; repeated with the same role it changes nothing. One by `externalUserId` may never have signed in. */
  add(viewer: Viewer, input: AddParticipant): Promise<Participation>
  /** Gives a participant another role. */
  update(viewer: Viewer, input: { sessionId: string; userId: string; role: Role }): Promise<Participation>
  /** Ends a participation, for the owners and for the participant itself; its live feeds of the session end. */
  remove(viewer: Viewer, input: { sessionId: string; userId: string }): Promise<Participation>
}

/** What a change does beyond what the session tells. */
type Effect = { event?: (session: Session) => ChangeEvent; listed?: Listed }

type Role = Participant['role']
type AddParticipant = UserReference & { sessionId: string; role: Role }

/** More would make a session a public place, which it is not made for. */
const maxParticipants = 100

const participantColumns = columnsOf('Participant', 'p')

// Taken first: what follows on the participants of a session happens one after another.
const bumpSession: Statement = {
  name: 'session-bump-for-participants',
  text: `UPDATE sessions s SET revision = revision + 1, updated_at = clock_timestamp()
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL RETURNING ${sessionColumns}`,
}

const listParticipants: Statement = {
  name: 'participant-list',
  text: `SELECT ${participantColumns} FROM participants p WHERE p.tenant_id = $1 AND p.session_id = $2`,
}

const insertParticipant: Statement = {
  name: 'participant-insert',
  text: 'INSERT INTO participants (tenant_id, session_id, user_id, role) VALUES ($1, $2, $3, $4)',
}

const updateParticipant: Statement = {
  name: 'participant-update',
  text: `UPDATE participants SET role = $4, updated_at = now()
    WHERE tenant_id = $1 AND session_id = $2 AND user_id = $3 RETURNING user_id`,
}

const deleteParticipant: Statement = {
  name: 'participant-delete',
  text: `DELETE FROM participants WHERE tenant_id = $1 AND session_id = $2 AND user_id = $3 RETURNING user_id`,
}

const reference = z.object({ externalUserId: text({ min: 1, max: 255 }).nullish() })

export function createParticipants({
  sessions,
  changes,
}: {
  sessions: Sessions
  changes: Changes
}): Participants {
  /** Runs `work` as a change of the session. */
  const change = (
    viewer: Viewer,
    sessionId: string,
    userId: string,
    work: (sql: Sql) => Promise<Effect>,
  ): Promise<Participation> =>
    changes.commit(viewer.db, sessionId, async (sql) => {
      const [session] = await sql<Session>(bumpSession, [viewer.tenantId, sessionId])
      if (!session) throw new NotFoundError('session')
      const { event, listed } = await work(sql)
      const events = event ? [event(session), sessionUpdated(session)] : [sessionUpdated(session)]
      return { result: { session, userId }, events, ...(listed && { listed }) }
    })

  async function userOf(viewer: Viewer, asked: UserReference): Promise<string> {
    refuseBoth(asked)
    const { externalUserId } = check(reference, asked)
    if (externalUserId) return ensureUser(viewer, externalUserId)
    if (!asked.userId) throw invalid('userId', 'is missing; name a user by userId or by externalUserId')
    const where = { tenantId: viewer.tenantId, AND: [{ id: asked.userId }, knownUsers(viewer)] }
    const user = await viewer.db.prisma.user.findFirst({ where, select: { id: true } })
    if (!user) throw new NotFoundError('user')
    return user.id
  }

  const refuseOwner = (session: Session, userId: string) => {
    if (session.userId === userId)
      throw invalid('userId', 'is the user whose session it is, who always owns it')
  }

  return {
    of: createPeople(),
    async add(viewer, input) {
      const session = await sessions.require(viewer, input.sessionId, 'OWNER')
      const userId = await userOf(viewer, input)
      refuseOwner(session, userId)
      return change(viewer, session.id, userId, async (sql) => {
        const key = [viewer.tenantId, session.id]
        const present = await sql<Participant>(listParticipants, key)
        const known = present.find((participant) => participant.userId === userId)
        if (known && known.role !== input.role)
          throw invalid(
            'role',
            `is another than ${known.role}, as which the user takes part; update it instead`,
          )
        if (known) return {}
        if (present.length >= maxParticipants)
          throw new LimitError(`A session has at most ${maxParticipants} participants.`, maxParticipants)
        await sql(insertParticipant, [...key, userId, input.role])
        await recordOfSession(sql, viewer, 'addParticipant', session.id)
        return { listed: { shown: [userId], whose: userId } }
      })
    },
    async update(viewer, { sessionId, userId, role }) {
      refuseOwner(await sessions.require(viewer, sessionId, 'OWNER'), userId)
      return change(viewer, sessionId, userId, async (sql) => {
        const [found] = await sql(updateParticipant, [viewer.tenantId, sessionId, userId, role])
        if (!found) throw new NotFoundError('participant')
        await recordOfSession(sql, viewer, 'updateParticipant', sessionId)
        return {}
      })
    },
    async remove(viewer, { sessionId, userId }) {
      const isSelf = userId === viewer.userId
      refuseOwner(await sessions.require(viewer, sessionId, isSelf ? 'VIEWER' : 'OWNER'), userId)
      return change(viewer, sessionId, userId, async (sql) => {
        const [found] = await sql(deleteParticipant, [viewer.tenantId, sessionId, userId])
        if (!found) throw new NotFoundError('participant')
        await recordOfSession(sql, viewer, 'removeParticipant', sessionId)
        return {
          event: ({ revision }) => ({ type: 'ParticipantRemoved', revision, userId }),
          listed: { hidden: [userId], whose: userId },
        }
      })
    },
  }
}
