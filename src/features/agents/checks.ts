import { z } from 'zod'
import { jsonObject, modelId, modelParameters, text } from '../../lib/checks.ts'
import { contextPolicy } from '../../lib/context-policy.ts'

const maxTools = 64

/** A tool that a model may be offered; `parameters` is a JSON schema. */
export type AgentTool = {
  name: string
  description: string
  parameters: Record<string, unknown>
  requiresApproval: boolean
}

// The names that every provider takes.
const toolName = text({ max: 64 }).regex(
  /^[A-Za-z0-9_-]+$/,
  'is not a name; allowed are a-z, A-Z, 0-9, _ and -',
)

const tool = z.object({
  name: toolName,
  description: text({ min: 1, max: 2_000 }),
  parameters: jsonObject({ maxBytes: 16_384 })
    .refine(({ type }) => type === 'object', 'is not the schema of an object; its "type" must be "object"')
    .refine(
      ({ properties = {} }) =>
        typeof properties === 'object' && properties !== null && !Array.isArray(properties),
      'has "properties" that are not an object',
    ),
  requiresApproval: z.boolean().nullish().transform(Boolean),
})

/** All tools of an agent, or of a run. */
export const tools = z
  .array(tool)
  .max(maxTools, `has more than ${maxTools} entries`)
  .superRefine((all, context) => {
    for (const [index, { name }] of all.entries())
      if (all.findIndex((other) => other.name === name) < index)
        context.addIssue({ code: 'custom', path: [index, 'name'], message: `${name} is there twice` })
  })

/** What may be asked of an agent; `promptMaxLength` is that of a message. */
export function createAgentChecks({ promptMaxLength }: { promptMaxLength: number }) {
  const settings = {
    description: text({ max: 1_000 }).nullish(),
    model: modelId.nullish(),
    systemPrompt: text({ max: promptMaxLength }).nullish(),
    parameters: modelParameters.nullish(),
    tools: tools.nullish(),
    contextPolicy: contextPolicy.nullish(),
    memoryTools: z.boolean().nullish(),
    maxActiveSessionsPerUser: z
      .int('is not a whole number')
      .min(1, 'is below 1')
      .max(10_000, 'is above 10000')
      .nullish(),
  }
  const name = text({ min: 1, max: 100 })
  return {
    create: z.object({
      key: text({ max: 63 })
        .regex(/^[a-z][a-z0-9_-]*$/, 'is not a key; allowed are a-z first, then a-z, 0-9, _ and -')
        .refine((key) => !key.startsWith('agent_'), 'begins with agent_, as ids do; choose another'),
      name,
      ...settings,
    }),
    update: z.object({ name: name.nullish(), isActive: z.boolean().nullish(), ...settings }),
  }
}
