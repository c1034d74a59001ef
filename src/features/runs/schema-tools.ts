import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { idOf } from '../../graphql/ids.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { isOpen } from './pausing.ts'
import { Run } from './schema.ts'
import type { PendingToolCall } from './settling.ts'
import type { Submitted } from './tool-results.ts'

const PendingToolCallRef = builder
  .objectRef<PendingToolCall & { expiresAt: Date }>('PendingToolCall')
  .implement({
    description: 'A call of a tool whose result a run waits for.',
    fields: (t) => ({
      toolCallId: t.exposeString('id', { description: 'The id of the call, which its result names.' }),
      name: t.exposeString('name', { description: 'The tool.' }),
      arguments: t.expose('arguments', { type: 'JSON', description: 'The arguments that the model gave.' }),
      requiresApproval: t.exposeBoolean('requiresApproval', {
        description: 'Whether a person must approve the call; its result then says whether one did.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description: 'The run fails where the result is not there by then (RUN_ACTION_TIMEOUT_MS).',
      }),
    }),
  })

builder.prismaObjectFields('Run', (t) => ({
  pendingToolCalls: t.field({
    type: [PendingToolCallRef],
    description: 'The calls whose results it waits for; empty but in REQUIRES_ACTION.',
    extensions: sameForAll,
    resolve: ({ pendingToolCalls, actionExpiresAt: expiresAt }) =>
      expiresAt === null
        ? []
        : (pendingToolCalls as unknown as PendingToolCall[])
            .filter(isOpen)
            .map((call) => ({ ...call, expiresAt })),
  }),
}))

const ToolResultInput = builder.inputType('ToolResultInput', {
  description: 'What became of one call of a tool.',
  fields: (t) => ({
    toolCallId: t.string({ required: true, description: 'The call, as `pendingToolCalls` names it.' }),
    content: t.string({
      description:
        'What the tool answered, for the model: up to 10,000 characters (CHAT_MESSAGE_MAX_LENGTH). May be left out ' +
        'where the call was refused.',
    }),
    isError: t.boolean({ description: 'Whether the tool failed; the content then says how.' }),
    approved: t.boolean({
      description:
        'Whether a person approved the call; needed where it requires approval. false: it was not made, and the model ' +
        'is told so.',
    }),
  }),
})

const SubmitToolResultsPayload = builder.objectRef<Submitted>('SubmitToolResultsPayload').implement({
  description: 'The results are stored, and the run goes on.',
  fields: (t) => ({
    run: t.field({ type: Run, description: 'The run that goes on.', resolve: ({ run }) => run }),
    toolMessages: t.prismaField({
      type: ['Message'],
      description: 'The results as messages, in the order of the calls.',
      resolve: (_query, { toolMessages }) => toolMessages,
    }),
    assistantMessage: t.prismaField({
      type: 'Message',
      description: 'The next reply of the run: STREAMING and empty at first.',
      resolve: (_query, { assistantMessage }) => assistantMessage,
    }),
  }),
})

builder.mutationField('submitToolResults', (t) =>
  t.fieldWithInput({
    type: SubmitToolResultsPayload,
    description:
      'Gives a run in REQUIRES_ACTION the results of all calls that it waits for, each exactly once. It goes on with ' +
      'another reply, which may call tools again, up to 8 times (RUN_MAX_TOOL_ROUNDS).',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The run, and the results of its calls.' },
    argOptions: { description: 'The run, and the results of its calls.' },
    input: {
      runId: t.input.id({ required: true, description: 'The run.' }).validate(idOf('Run')),
      results: t.input.field({
        type: [ToolResultInput],
        required: true,
        description: 'One for each of its `pendingToolCalls`.',
      }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.toolResults.submit(await actorOf(context, input), input),
  }),
)
