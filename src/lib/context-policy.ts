import { z } from 'zod'

export const contextPolicyKinds = [
  'FULL',
  'LAST_MESSAGES',
  'TOKEN_BUDGET',
  'SUMMARIZE',
  'HIERARCHICAL',
  'RETRIEVAL',
] as const

/** What of a conversation a model is sent. All kinds leave out what the model has no room for. */
export type ContextPolicy = {
  kind: (typeof contextPolicyKinds)[number]
  /** LAST_MESSAGES: how many earlier ones go along. */
  messages?: number | null | undefined
  /** What everything together may have. */
  tokens?: number | null | undefined
  /** How many of the last messages go along as they are. */
  keepLast?: number | null | undefined
  /** RETRIEVAL: how many passages of older messages go along. */
  passages?: number | null | undefined
  /** Whether what is remembered goes along. */
  memories?: boolean | null | undefined
}

type Setting = 'messages' | 'tokens' | 'keepLast' | 'passages'

const settingsOf: Record<ContextPolicy['kind'], readonly Setting[]> = {
  FULL: [],
  LAST_MESSAGES: ['messages'],
  TOKEN_BUDGET: ['tokens'],
  SUMMARIZE: ['tokens', 'keepLast'],
  HIERARCHICAL: ['tokens', 'keepLast'],
  RETRIEVAL: ['tokens', 'keepLast', 'passages'],
}

const needed: Partial<Record<ContextPolicy['kind'], Setting>> = {
  LAST_MESSAGES: 'messages',
  TOKEN_BUDGET: 'tokens',
}

const whole = (min: number, max: number) =>
  z.int('is not a whole number').min(min, `is below ${min}`).max(max, `is above ${max}`).nullish()

/** Reads a policy; what is not given is not in it. */
export const contextPolicy = z
  .object({
    kind: z.enum(contextPolicyKinds),
    messages: whole(1, 10_000),
    tokens: whole(50, 10_000_000),
    keepLast: whole(1, 1_000),
    passages: whole(1, 20),
    memories: z.boolean().nullish(),
  })
  .superRefine(({ kind, ...given }, context) => {
    for (const setting of ['messages', 'tokens', 'keepLast', 'passages'] as const) {
      const kinds = contextPolicyKinds.filter((each) => settingsOf[each].includes(setting))
      if (given[setting] != null && !kinds.includes(kind))
        context.addIssue({ code: 'custom', path: [setting], message: `goes with ${kinds.join(', ')} only` })
      if (given[setting] == null && needed[kind] === setting)
        context.addIssue({ code: 'custom', path: [setting], message: `is missing; ${kind} needs it` })
    }
  })
  .transform(
    (policy) =>
      Object.fromEntries(Object.entries(policy).filter(([, value]) => value != null)) as ContextPolicy,
  )
