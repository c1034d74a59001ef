import { z } from 'zod'
import { whole } from './setting-kinds.ts'

/** One reply of a model each. */
export const runSettings = z.object({
  RUN_MAX_DURATION_MS: whole(600_000, 1_000),
  RUN_FIRST_TOKEN_TIMEOUT_MS: whole(60_000, 100),
  RUN_STALL_TIMEOUT_MS: whole(60_000, 100),
  RUN_MAX_TEXT_BYTES: whole(262_144, 1_024),
  RUN_COALESCE_MS: whole(30, 0, 1_000),
  RUN_CHECKPOINT_MS: whole(1_000, 50, 60_000),
  RUN_LEASE_MS: whole(15_000, 500, 600_000),
  RUN_RETRIES: whole(2, 0, 10),
  RUN_MAX_TOOL_ROUNDS: whole(8, 1, 1_000),
  RUN_ACTION_TIMEOUT_MS: whole(600_000, 100),
  RUNS_PER_USER: whole(3, 1),
  RUNS_PER_TENANT: whole(50, 1),
  RUNS_QUEUED_PER_SESSION: whole(20, 0),
  STATELESS_RUN_HOURS: whole(24, 1, 87_600),
})

export const arrangeRuns = (s: z.infer<typeof runSettings>) => ({
  maxDurationMs: s.RUN_MAX_DURATION_MS,
  firstTokenTimeoutMs: s.RUN_FIRST_TOKEN_TIMEOUT_MS,
  stallTimeoutMs: s.RUN_STALL_TIMEOUT_MS,
  maxTextBytes: s.RUN_MAX_TEXT_BYTES,
  coalesceMs: s.RUN_COALESCE_MS,
  checkpointMs: s.RUN_CHECKPOINT_MS,
  leaseMs: s.RUN_LEASE_MS,
  retries: s.RUN_RETRIES,
  maxToolRounds: s.RUN_MAX_TOOL_ROUNDS,
  actionTimeoutMs: s.RUN_ACTION_TIMEOUT_MS,
  perUser: s.RUNS_PER_USER,
  perTenant: s.RUNS_PER_TENANT,
  queuedPerSession: s.RUNS_QUEUED_PER_SESSION,
  statelessHours: s.STATELESS_RUN_HOURS,
})
