import { z } from 'zod'
import { whole } from './setting-kinds.ts'

/** What the text of one operation may have, and what it may cost. */
export const operationSettings = z.object({
  OPERATION_MAX_LENGTH: whole(15_000, 100, 1_000_000),
  OPERATION_MAX_TOKENS: whole(1_000, 10, 100_000),
  OPERATION_MAX_DEPTH: whole(8, 1, 100),
  OPERATION_MAX_ALIASES: whole(15, 0, 10_000),
  OPERATION_MAX_DIRECTIVES: whole(10, 0, 10_000),
  OPERATION_MAX_COST: whole(5_000, 1),
})

export const arrangeOperations = (s: z.infer<typeof operationSettings>) => ({
  maxLength: s.OPERATION_MAX_LENGTH,
  maxTokens: s.OPERATION_MAX_TOKENS,
  maxDepth: s.OPERATION_MAX_DEPTH,
  maxAliases: s.OPERATION_MAX_ALIASES,
  maxDirectives: s.OPERATION_MAX_DIRECTIVES,
  maxCost: s.OPERATION_MAX_COST,
})
