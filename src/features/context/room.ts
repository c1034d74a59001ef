import type { ContextPolicy } from '../../lib/context-policy.ts'
import { invalid } from '../../lib/errors.ts'
import type { ModelParameters } from '../../llm/provider.ts'
import type { Fitted } from './fit.ts'

/** Room for the answer, where nobody says how long it may be. */
const answerTokens = 4_096
const defaultTokens = 8_000
export const defaultKeepLast = 10

/** The most tokens that are sent in all; `window` are those of the model, null where nobody knows. */
export function budgetOf(window: number | null, parameters: ModelParameters, policy: ContextPolicy): number {
  const answer = Math.min(parameters.maxOutputTokens ?? answerTokens, Math.floor((window ?? 0) / 2))
  const asked = policy.tokens ?? (needsTokens(policy) ? defaultTokens : Number.POSITIVE_INFINITY)
  return Math.min(window === null ? Number.POSITIVE_INFINITY : window - answer, asked)
}

export const needsTokens = ({ kind }: ContextPolicy): boolean =>
  kind === 'SUMMARIZE' || kind === 'HIERARCHICAL' || kind === 'RETRIEVAL'

/** How many messages of the conversation go along, where there is room. */
export function maxMessagesOf(policy: ContextPolicy): number {
  if (policy.kind === 'LAST_MESSAGES') return policy.messages ?? Number.POSITIVE_INFINITY
  if (policy.kind === 'RETRIEVAL') return policy.keepLast ?? defaultKeepLast
  return Number.POSITIVE_INFINITY
}

/** Throws a `ValidationError` where what is always there passes the budget. */
export function refuseExcess({ excess }: Pick<Fitted, 'excess'>, budget: number): void {
  if (excess !== null) throw tooLong(excess, budget)
}

export const tooLong = (tokens: number, budget: number) =>
  invalid(
    'content',
    `has ${tokens} tokens together with the instructions and tools; at most ${budget} fit, by the context policy or the model`,
  )
