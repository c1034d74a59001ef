import type { Viewer } from '../../auth/viewer.ts'
import { actingFields } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { type Context, viewerOf } from '../../graphql/context.ts'
import { idOf, idsOf } from '../../graphql/ids.ts'
import {
  ConflictError,
  ForbiddenError,
  LimitError,
  ModelUnavailableError,
  NotFoundError,
  QuotaError,
  RateLimitedError,
  RunInProgressError,
  ValidationError,
} from '../../lib/errors.ts'
import { Run } from './schema.ts'
import type { Sent } from './turn.ts'

/** What keeps a mutation from having something answered. */
export const sendErrors = {
  types: [
    ValidationError,
    NotFoundError,
    ForbiddenError,
    ConflictError,
    LimitError,
    QuotaError,
    RateLimitedError,
    ModelUnavailableError,
  ],
}

export type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

/** Fields of an input: the model of one reply in a session. */
export const modelOptions = (t: InputFields) => ({
  model: t.string({ description: 'Model id (`provider:name`) for this reply only.' }),
  parameters: t.field({
    type: 'JSONObject',
    description: 'Model parameters for this reply, over those of the session.',
  }),
})

/** Field of an input: whether to answer at once; `answered` obeys it. */
export const waitOption = (t: InputFields) => ({
  wait: t.boolean({
    defaultValue: false,
    description:
      'Answers only when the run has ended, or waits for the results of tools, for scripts that want no subscription.',
  }),
})

export async function answered(
  context: Context,
  wait: boolean | null | undefined,
  send: (viewer: Viewer) => Promise<Sent>,
): Promise<Sent> {
  const viewer = viewerOf(context)
  const sent = await send(viewer)
  return wait ? context.services.runs.waitForEnd(viewer, sent, context.gone?.()) : sent
}

/** The payload of a mutation that has something answered. */
export const sentPayload = (name: string, description: string) =>
  builder.objectRef<Sent>(name).implement({
    description,
    fields: (t) => ({
      userMessage: t.prismaField({
        type: 'Message',
        description: 'The message that is answered.',
        resolve: (_query, { userMessage }) => userMessage,
      }),
      assistantMessage: t.prismaField({
        type: 'Message',
        description: 'The reply: STREAMING and empty at first.',
        resolve: (_query, { assistantMessage }) => assistantMessage,
      }),
      run: t.field({ type: Run, description: 'The run that answers.', resolve: ({ run }) => run }),
    }),
  })

const OnBusy = builder.enumType('OnBusy', {
  description: 'What a send does in a session that is answering already.',
  values: {
    ENQUEUE: {
      description: 'Waits in line, behind up to 20 others (RUNS_QUEUED_PER_SESSION); one more is refused.',
    },
    REJECT: {
      description: 'Is refused with RUN_IN_PROGRESS, also where others only wait; nothing is stored.',
    },
    INTERRUPT: {
      description:
        'Cancels the run that is being answered, whose text so far stays, and goes next, before all that wait; those ' +
        'go on waiting.',
    },
    ROLLBACK: {
      description:
        'As INTERRUPT, but the run that is being answered is removed with its question and all its replies as soon as ' +
        'it has stopped. For the author of that question and the owner of the session.',
    },
  } as const,
})

const SendMessagePayload = sentPayload(
  'SendMessagePayload',
  'The message is stored and its reply on the way, or ended where the send waited for it.',
)

builder.mutationField('sendMessage', (t) =>
  t.fieldWithInput({
    type: SendMessagePayload,
    description:
      'Stores a user message and has it answered. What a session does that is answering already, `onBusy` says.',
    errors: { types: [...sendErrors.types, RunInProgressError] },
    typeOptions: { description: 'What to send, and where.' },
    argOptions: { description: 'What to send, and where.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      content: t.input.string({
        required: true,
        description: 'The text, 1 to 10,000 characters (CHAT_MESSAGE_MAX_LENGTH).',
      }),
      clientId: t.input.string({
        description:
          'A key that the client makes up: repeated with the same content it gives the same message and run.',
      }),
      ...modelOptions(t.input),
      contextPolicy: t.input.field({
        type: 'ContextPolicyInput',
        description: 'What of the conversation the model is sent for this reply, over that of the session.',
      }),
      documentIds: t.input
        .idList({
          description:
            'The documents that this reply may draw on, at most 100 that you see; by default those of the session, with an empty list none.',
        })
        .validate(idsOf('Document').nullish()),
      onBusy: t.input.field({
        type: OnBusy,
        defaultValue: 'ENQUEUE',
        description: 'What to do where the session is answering already.',
      }),
      ...actingFields(t.input),
      ...waitOption(t.input),
    },
    resolve: (_root, { input: { wait, ...message } }, context) =>
      answered(context, wait, (viewer) => context.services.sending.send(viewer, message)),
  }),
)
