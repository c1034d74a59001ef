import type { Revocations } from './accounts/revocations.ts'
import type { Accounts } from './accounts/service.ts'
import type { Agents } from './agents/service.ts'
import type { DocumentServices } from './documents/assembly.ts'
import type { Presence } from './live/presence.ts'
import type { Live } from './live/service.ts'
import type { Memories } from './memory/service.ts'
import type { Messages } from './messages/service.ts'
import type { ModelCatalog } from './models/service.ts'
import type { ReadMarks } from './participants/read-marks.ts'
import type { Participants } from './participants/service.ts'
import type { Quotas } from './quotas/service.ts'
import type { Erasure } from './retention/erasure.ts'
import type { Previews } from './runs/preview.ts'
import type { RunQueue } from './runs/queue.ts'
import type { Revisions } from './runs/revisions.ts'
import type { Sending } from './runs/sending.ts'
import type { Runs } from './runs/service.ts'
import type { StatelessRuns } from './runs/stateless.ts'
import type { ToolResults } from './runs/tool-results.ts'
import type { Search } from './search/service.ts'
import type { Sessions } from './sessions/service.ts'
import type { Sidebar } from './sessions/sidebar.ts'
import type { Stats } from './stats/service.ts'
import type { Limits } from './system/limits.ts'
import type { System } from './system/service.ts'
import type { Templates } from './templates/service.ts'
import type { Transfer } from './transfer/service.ts'

/** What resolvers can ask for; `app.ts` makes it, the context carries it. */
export type Services = {
  readonly accounts: Accounts
  readonly revocations: Revocations
  readonly agents: Agents
  readonly models: ModelCatalog
  readonly quotas: Quotas
  readonly templates: Templates
  readonly sessions: Sessions
  readonly sidebar: Sidebar
  readonly participants: Participants
  readonly readMarks: ReadMarks
  readonly messages: Messages
  readonly memories: Memories
  readonly runs: Runs
  readonly previews: Previews
  readonly sending: Sending
  readonly runQueue: RunQueue
  readonly toolResults: ToolResults
  readonly revisions: Revisions
  readonly statelessRuns: StatelessRuns
  readonly live: Live
  readonly presence: Presence
  readonly search: Search
  readonly stats: Stats
  readonly system: System
  readonly limits: Limits
  readonly transfer: Transfer
  readonly erasure: Erasure
} & DocumentServices
