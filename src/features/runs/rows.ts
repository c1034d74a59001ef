import type { Run, Session } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import type { QuotaError } from '../../lib/errors.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'
import type { SceneRow } from '../context/conversation.ts'

export const runColumns = columnsOf('Run', 'r')

export type RunPlace = Pick<Run, 'tenantId' | 'id' | 'sessionId' | 'userId'>

/**
 * A run that this node is to answer; `revision` told that it starts, null where its session was deleted meanwhile. `read` is
 * what the statements behind the claim have read; where there is nothing, that is still to be asked for.
 */
export type Claimed = { run: Run; revision: number | null; read?: ReadWithClaim }

/** What an answer is made from, and the quota that is used up, if one is. */
export type ReadWithClaim = { scene: readonly SceneRow[]; excess: QuotaError | null }

const runEvent =
  (type: 'RunQueued' | 'RunStarted' | 'RunRequiresAction' | 'RunFinished') =>
  (run: Run, { revision }: Pick<Session, 'revision'>): ChangeEvent => ({ type, revision, run: toWire(run) })

export const runQueued = runEvent('RunQueued')
export const runStarted = runEvent('RunStarted')
export const runRequiresAction = runEvent('RunRequiresAction')
export const runFinished = runEvent('RunFinished')
