import type { Session } from './model-form.tsx'
import { type ListedModel, refusalOf } from './models.ts'
import { policies } from './policies.ts'

/** What holds in a session where it sets nothing itself, and whose it is, in words for people. */
export function inheritanceOf({ agent }: Session, models: readonly ListedModel[], chosen: string | null) {
  const model = agent?.model
    ? { id: agent.model, says: `As ${agent.name} has it` }
    : { id: models.find(({ isDefault }) => isDefault)?.id ?? 'unknown', says: 'The default of this server' }
  const { defaultParameters } = models.find(({ id }) => id === (chosen ?? model.id)) ?? {}
  const whose = agent?.name ?? 'this server'
  const policy = policies.find(({ kind }) => kind === (agent?.contextPolicy?.kind ?? 'FULL'))
  const listed = models.find(({ id }) => id === model.id)
  const refusal = listed && refusalOf(listed)
  return {
    model: { ...model, facts: [model.id, refusal].filter(Boolean).join(' · ') },
    layers: [
      { name: 'the model', values: objectOf(defaultParameters) },
      { name: whose, values: objectOf(agent?.parameters) },
    ],
    systemPrompt: {
      text: agent?.systemPrompt ?? 'What the model is told first',
      says: agent?.systemPrompt ? `From ${agent.name}` : 'None',
    },
    policy: `As ${whose} has it: ${policy?.name.toLowerCase()}`,
  }
}

/** The API calls it JSON, and it always is an object. */
const objectOf = (value: unknown) => (value ?? {}) as Record<string, unknown>
