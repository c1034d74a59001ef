/** What of a conversation goes along with a send, in words for people; and the numbers that go with each kind. */
export const policies: readonly Policy[] = [
  {
    kind: 'FULL',
    name: 'Everything that fits',
    says: 'The oldest messages are left out first.',
    settings: [],
  },
  {
    kind: 'LAST_MESSAGES',
    name: 'The last messages',
    says: 'So many of them and nothing older.',
    settings: ['messages'],
    needed: 'messages',
  },
  {
    kind: 'TOKEN_BUDGET',
    name: 'What fits a budget',
    says: 'As many of the last messages as fit.',
    settings: ['tokens'],
    needed: 'tokens',
  },
  {
    kind: 'SUMMARIZE',
    name: 'A summary and the last messages',
    says: 'The model sums up what is older.',
    settings: ['tokens', 'keepLast'],
  },
  {
    kind: 'HIERARCHICAL',
    name: 'Memory, a summary and the last messages',
    says: 'What is remembered goes first; the model sums up what is older.',
    settings: ['tokens', 'keepLast'],
  },
  {
    kind: 'RETRIEVAL',
    name: 'The last messages and fitting passages',
    says: 'Passages of older messages and of your other conversations that fit the question.',
    settings: ['tokens', 'keepLast', 'passages'],
  },
]

type Policy = {
  kind: PolicyKind
  name: string
  says: string
  settings: readonly PolicySetting[]
  /** The one that must be given. */
  needed?: PolicySetting
}

export type PolicyKind =
  | 'FULL'
  | 'LAST_MESSAGES'
  | 'TOKEN_BUDGET'
  | 'SUMMARIZE'
  | 'HIERARCHICAL'
  | 'RETRIEVAL'
export type PolicySetting = 'messages' | 'tokens' | 'keepLast' | 'passages'

export const policySettings: Record<PolicySetting, { label: string; min: number; max: number }> = {
  messages: { label: 'Messages', min: 1, max: 10_000 },
  tokens: { label: 'Tokens at most', min: 50, max: 10_000_000 },
  keepLast: { label: 'Last messages', min: 1, max: 1_000 },
  passages: { label: 'Passages', min: 1, max: 20 },
}

/** As people type it; without a kind it is inherited, and a number that is empty is the default. */
export type PolicyForm = { kind: PolicyKind | ''; memories: boolean } & Record<PolicySetting, string>

type Stored = { kind: PolicyKind; memories: boolean | null } & Record<PolicySetting, number | null>

export const policyFormOf = (policy: Stored | null): PolicyForm => ({
  kind: policy?.kind ?? '',
  memories: policy?.memories ?? false,
  messages: String(policy?.messages ?? ''),
  tokens: String(policy?.tokens ?? ''),
  keepLast: String(policy?.keepLast ?? ''),
  passages: String(policy?.passages ?? ''),
})

/** As the API takes it; null where the policy is inherited. */
export function policyOf(form: PolicyForm) {
  const policy = policies.find(({ kind }) => kind === form.kind)
  if (!policy) return null
  const numbers = policy.settings.flatMap((name) => (form[name] ? [[name, Number(form[name])]] : []))
  return { kind: policy.kind, ...(form.memories && { memories: true }), ...Object.fromEntries(numbers) }
}
