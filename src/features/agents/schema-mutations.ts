import type { Agent as AgentRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, ModelUnavailableError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { Agent } from './schema.ts'

const AgentToolInput = builder.inputType('AgentToolInput', {
  description: 'A tool that the model may ask to have called.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'Unique in the agent; up to 64 letters, digits, `_` and `-`.',
    }),
    description: t.string({
      required: true,
      description: 'What it does and when to use it, for the model; at most 2,000 characters.',
    }),
    parameters: t.field({
      type: 'JSONObject',
      required: true,
      description: 'JSON schema of its arguments, with `"type": "object"`; at most 16 KiB.',
    }),
    requiresApproval: t.boolean({
      defaultValue: false,
      description: 'Whether a person must approve each call before it is made.',
    }),
  }),
})

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const settings = (t: InputFields) => ({
  description: t.string({ description: 'What it is for; at most 1,000 characters.' }),
  model: t.string({ description: 'Model id (`provider:name`); null for the default of the installation.' }),
  systemPrompt: t.string({
    description: 'What the model is told first; at most 10,000 characters (CHAT_MESSAGE_MAX_LENGTH).',
  }),
  parameters: t.field({
    type: 'JSONObject',
    description: 'Model parameters: temperature, topP, topK, maxOutputTokens, stop, seed.',
  }),
  tools: t.field({ type: [AgentToolInput], description: 'All of its tools; at most 64.' }),
  contextPolicy: t.field({
    type: 'ContextPolicyInput',
    description: 'What of a conversation the model is sent; null for FULL.',
  }),
  memoryTools: t.boolean({
    description: 'Whether the model may save, read and delete memories by itself; false by default.',
  }),
  maxActiveSessionsPerUser: t.int({
    description: 'Active sessions that a user may have with it; null for MAX_SESSIONS_PER_AGENT.',
  }),
})

const changedAgent = (name: 'CreateAgentPayload' | 'UpdateAgentPayload', description: string) =>
  builder.objectRef<AgentRow>(name).implement({
    description,
    fields: (t) => ({
      agent: t.field({ type: Agent, description: 'As it is now.', resolve: (agent) => agent }),
    }),
  })

builder.mutationField('createAgent', (t) =>
  t.fieldWithInput({
    type: changedAgent('CreateAgentPayload', 'The agent was made.'),
    authScopes: { admin: true },
    description: 'Makes an agent, for admins.',
    errors: { types: [ValidationError, ForbiddenError, ModelUnavailableError] },
    typeOptions: { description: 'The new agent.' },
    argOptions: { description: 'The new agent.' },
    input: {
      key: t.input.string({
        required: true,
        description:
          'Short name, unique in the tenant and never changed: `a-z`, then `a-z`, `0-9`, `_`, `-`.',
      }),
      name: t.input.string({ required: true, description: 'Name for people; at most 100 characters.' }),
      ...settings(t.input),
    },
    resolve: (_root, { input }, context) => context.services.agents.create(viewerOf(context), input),
  }),
)

builder.mutationField('updateAgent', (t) =>
  t.fieldWithInput({
    type: changedAgent('UpdateAgentPayload', 'The agent was changed.'),
    authScopes: { admin: true },
    description:
      'Changes an agent, for admins: what is left out stays, null clears. Agents are not deleted but deactivated: ' +
      'new sessions cannot choose it then, and those that did go on.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ModelUnavailableError] },
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      agentId: t.input.id({ required: true, description: 'The agent.' }).validate(idOf('Agent')),
      name: t.input.string({ description: 'Name for people; at most 100 characters.' }),
      ...settings(t.input),
      isActive: t.input.boolean({ description: 'Whether new sessions may choose it.' }),
    },
    resolve: (_root, { input: { agentId, ...changes } }, context) =>
      context.services.agents.update(viewerOf(context), agentId, changes),
  }),
)
