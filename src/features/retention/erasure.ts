import type { Viewer } from '../../auth/viewer.ts'
import type { Session } from '../../db/client.ts'
import { isForeignKeyViolation } from '../../db/failures.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { invalid } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import type { Accounts } from '../accounts/service.ts'
import { requireUser } from '../accounts/users.ts'
import { recordAction } from '../audit/record.ts'
import { type Doomed, eraseMessages } from '../messages/removal.ts'
import type { Participants } from '../participants/service.ts'
import type { Runs } from '../runs/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import {
  clearForks,
  countRunsOf,
  dropMadeTitle,
  eraseDocuments,
  eraseMemories,
  eraseParticipations,
  eraseRuns,
  eraseStateless,
  eraseTemplates,
  eraseUserRow,
  findMessages,
  findOwnSession,
  findSessionWrittenIn,
  findShared,
  findUnended,
  lockSession,
  releaseTemplates,
  renameUsage,
} from './erasure-statements.ts'

export type Erasure = {
  /**
   * Removes all that a person has left, and the person: every session it owns; in others' sessions its messages, what
   * was answered to them, and its part in them; its templates, memories and documents. What it used stays counted, under
   * a name that stands for nobody. In small steps, each whole by itself: after a failure the same call goes on where it
   * stopped.
   */
  eraseUser(viewer: Viewer, userId: string): Promise<Receipt>
}

/** How much was erased, or made anonymous (`usageRecords`), by this call. */
export type Receipt = {
  sessions: number
  messages: number
  runs: number
  participations: number
  templates: number
  memories: number
  documents: number
  usageRecords: number
}

type Dependencies = {
  sessions: Sessions
  participants: Participants
  runs: Runs
  accounts: Accounts
  changes: Changes
}

export function createErasure({ sessions, participants, runs, accounts, changes }: Dependencies): Erasure {
  async function cancelRuns(viewer: Viewer, userId: string) {
    const unended = await viewer.db.sql<{ id: string }>(findUnended, [viewer.tenantId, userId])
    for (const { id } of unended) await runs.cancel(viewer, id)
  }

  async function eraseOwnSessions(viewer: Viewer, userId: string, receipt: Receipt) {
    const key = [viewer.tenantId, userId]
    type Found = { id: string; messages: number; runs: number }
    for (;;) {
      const [own] = await viewer.db.sql<Found>(findOwnSession, key)
      if (!own) return
      const forks = await viewer.db.sql<Session>(clearForks, [viewer.tenantId, own.id])
      for (const fork of forks)
        await changes.announce(fork, [fork.deletedAt === null ? sessionUpdated(fork) : changedUnseen(fork)])
      await sessions.purge(viewer, own.id)
      receipt.sessions += 1
      receipt.messages += own.messages
      receipt.runs += own.runs
    }
  }

  async function eraseStatelessRuns({ db, tenantId }: Viewer, userId: string, receipt: Receipt) {
    receipt.runs += await untilNone(async () => {
      const erased = await db.sql<{ messages: number }>(eraseStateless, [tenantId, userId])
      receipt.messages += erased.reduce((sum, { messages }) => sum + messages, 0)
      return erased
    })
  }

  async function eraseWritten(viewer: Viewer, userId: string, receipt: Receipt) {
    for (;;) {
      const key = [viewer.tenantId, userId]
      const [session] = await viewer.db.sql<{ id: string }>(findSessionWrittenIn, key)
      if (!session) return
      await eraseStep(viewer, session.id, userId, receipt)
    }
  }

  const eraseStep = ({ db, tenantId }: Viewer, sessionId: string, userId: string, receipt: Receipt) =>
    changes.commit(db, sessionId, async (sql) => {
      const [session] = await sql<Session>(lockSession, [tenantId, sessionId])
      const doomed = await sql<Doomed>(findMessages, [tenantId, sessionId, userId])
      if (!session || doomed.length === 0) return { result: undefined, events: [] }
      const ids = doomed.map(({ id }) => id)
      const [asked] = await sql<{ count: number }>(countRunsOf, [tenantId, ids])
      await sql(dropMadeTitle, [tenantId, sessionId])
      const { session: changed, events } = await eraseMessages(sql, { tenantId, sessionId }, doomed, session)
      receipt.messages += doomed.length
      receipt.runs += asked?.count ?? 0
      return { result: undefined, events: changed.deletedAt === null ? events : [changedUnseen(changed)] }
    })

  async function leaveSessions(viewer: Viewer, userId: string, receipt: Receipt) {
    const key = [viewer.tenantId, userId]
    for (const { id } of await viewer.db.sql<{ id: string }>(findShared, key)) {
      await participants.remove(viewer, { sessionId: id, userId })
      receipt.participations += 1
    }
    // Those in deleted sessions, which nobody watches.
    receipt.participations += (await viewer.db.sql(eraseParticipations, key)).length
  }

  async function eraseTenantRows(viewer: Viewer, userId: string, receipt: Receipt) {
    const { db, tenantId } = viewer
    receipt.runs += await untilNone(() => db.sql(eraseRuns, [tenantId, userId]))
    await untilNone(() => db.sql(releaseTemplates, [tenantId, userId]))
    receipt.templates += (await db.sql(eraseTemplates, [tenantId, userId])).length
    receipt.memories += (await db.sql(eraseMemories, [tenantId, userId])).length
    receipt.documents += await untilNone(() =>
      db.transaction(async (sql) => {
        await allowLongStatements(sql)
        return sql(eraseDocuments, [tenantId, userId])
      }),
    )
    const nobody = newId()
    receipt.usageRecords += await untilNone(() => db.sql(renameUsage, [tenantId, userId, nobody]))
    await db.transaction(async (sql) => {
      await sql(eraseUserRow, [tenantId, userId])
      await recordAction(sql, viewer, { action: 'eraseUser', target: encodeId('User', userId) })
    })
  }

  async function eraseAll(viewer: Viewer, userId: string, receipt: Receipt) {
    await cancelRuns(viewer, userId)
    // Out of others' sessions first: from there on it cannot write in them any more.
    await leaveSessions(viewer, userId, receipt)
    await eraseOwnSessions(viewer, userId, receipt)
    await eraseStatelessRuns(viewer, userId, receipt)
    await eraseWritten(viewer, userId, receipt)
    await eraseTenantRows(viewer, userId, receipt)
  }

  return {
    async eraseUser(viewer, userId) {
      if (userId === viewer.userId)
        throw invalid('userId', 'is your own; another admin can erase you, or a service token')
      await requireUser(viewer.db.sql, viewer.tenantId, userId)
      const receipt = {
        sessions: 0,
        messages: 0,
        runs: 0,
        participations: 0,
        templates: 0,
        memories: 0,
        documents: 0,
        usageRecords: 0,
      }
      await erasingWhatComes(() => eraseAll(viewer, userId, receipt))
      accounts.forget(userId)
      return receipt
    },
  }
}

/** Begins again where the person, or somebody for it, has stored something meanwhile that keeps its row from going. */
async function erasingWhatComes(erase: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await erase()
    } catch (error) {
      if (attempt === maxAttempts || !isForeignKeyViolation(error)) throw error
    }
  }
}

const maxAttempts = 5

/** Repeats a step until it changes nothing; gives how many rows it changed in all. */
async function untilNone(step: () => Promise<object[]>): Promise<number> {
  let total = 0
  for (;;) {
    const { length } = await step()
    if (length === 0) return total
    total += length
  }
}
