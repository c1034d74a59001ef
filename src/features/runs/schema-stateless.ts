import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { idOf } from '../../graphql/ids.ts'
import { answered, type InputFields, sendErrors, sentPayload, waitOption } from './schema-sending.ts'

const options = (t: InputFields) => ({
  model: t.string({ description: 'Model id (`provider:name`); the one of the installation by default.' }),
  parameters: t.field({
    type: 'JSONObject',
    description: 'Model parameters: temperature, topP, topK, maxOutputTokens, stop, seed.',
  }),
  clientId: t.string({
    description:
      'A key that the client makes up: repeated with the same arguments it gives the same run, as long as that is kept.',
  }),
  ...waitOption(t),
})

const CompletionMessageInput = builder.inputType('CompletionMessageInput', {
  description: 'A message of a conversation that is to be answered.',
  fields: (t) => ({
    role: t.field({ type: 'MessageRole', required: true, description: 'Who speaks.' }),
    content: t.string({
      description:
        'The text, at most 10,000 characters (CHAT_MESSAGE_MAX_LENGTH); optional beside tool calls.',
    }),
    toolCalls: t.field({ type: ['ToolCallInput'], description: 'Tool calls; with the role ASSISTANT only.' }),
    toolCallId: t.string({
      description: 'The call that this answers; needed with the role TOOL and only there.',
    }),
  }),
})

builder.mutationField('complete', (t) =>
  t.fieldWithInput({
    type: sentPayload('CompletePayload', 'The run is on its way, or ended where the call waited for it.'),
    description:
      'Has a conversation answered that comes whole with the call: nothing is kept as a session. The run is followed by ' +
      '`runEvents` or `tokenStream`, cancelled by `cancelRun`, and can be read for a day (STATELESS_RUN_HOURS).',
    errors: sendErrors,
    typeOptions: { description: 'What to answer, and how.' },
    argOptions: { description: 'What to answer, and how.' },
    input: {
      messages: t.input.field({
        type: [CompletionMessageInput],
        required: true,
        description:
          'The conversation, oldest first: 1 to 100 messages, the last of a USER or a TOOL. Whole turns are left out from ' +
          'the oldest on where the model has no room for all.',
      }),
      systemPrompt: t.input.string({
        description: 'What the model is told first; at most 10,000 characters (CHAT_MESSAGE_MAX_LENGTH).',
      }),
      tools: t.input.field({
        type: ['AgentToolInput'],
        description:
          'Tools that the model is offered, at most 64. Where it calls them, the run waits for `submitToolResults`.',
      }),
      ...options(t.input),
      ...actingFields(t.input),
    },
    resolve: (_root, { input: { wait, ...input } }, context) =>
      answered(context, wait, async () =>
        context.services.statelessRuns.complete(await actorOf(context, input), input),
      ),
  }),
)

builder.mutationField('executeTemplate', (t) =>
  t.fieldWithInput({
    type: sentPayload(
      'ExecuteTemplatePayload',
      'The run is on its way, or ended where the call waited for it.',
    ),
    description:
      'Has what a template says answered, with the agent, model, system prompt and opening messages of the template, as ' +
      'a run like that of `complete`: nothing is kept as a session. What goes along is chosen by the context policy of the ' +
      'template, and is everything (FULL) where it has none, whatever that of the agent.',
    errors: sendErrors,
    typeOptions: { description: 'The template, and what to put in.' },
    argOptions: { description: 'The template, and what to put in.' },
    input: {
      templateId: t.input.id({ required: true, description: 'The template.' }).validate(idOf('Template')),
      variables: t.input.field({
        type: 'JSONObject',
        description:
          'Values for each `{{name}}` in the system prompt and the opening messages: text, numbers or booleans. All names ' +
          'need one, and no other may be given. No opening message may be left empty by them.',
      }),
      input: t.input.string({
        description:
          'A last message of the user, at most 10,000 characters (CHAT_MESSAGE_MAX_LENGTH); needed unless the opening ' +
          'messages end with one of a user.',
      }),
      ...options(t.input),
      ...actingFields(t.input),
    },
    resolve: (_root, { input: { wait, ...input } }, context) =>
      answered(context, wait, async () =>
        context.services.statelessRuns.executeTemplate(await actorOf(context, input), input),
      ),
  }),
)
