import { onVisibleSession } from '../../auth/policy.ts'
import type { Run as RunRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { sameForAll } from '../../graphql/shared.ts'
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
import type { Sent } from './turn.ts'

export const RunStatus = builder.enumType('RunStatus', {
  description: 'Where a run stands. The last four are final.',
  values: {
    QUEUED: { description: 'Waits for its turn.' },
    RUNNING: { description: 'Its reply is being written.' },
    REQUIRES_ACTION: { description: 'Waits for the results or the approval of tool calls.' },
    COMPLETED: { description: 'The reply is whole.' },
    FAILED: {
      description:
        'The model or its provider failed, or a limit was reached; the reply holds what came before.',
    },
    CANCELLED: { description: 'Somebody stopped it; the reply holds what came before.' },
    INTERRUPTED: { description: 'Its server stopped; the reply holds what was stored by then.' },
  } as const,
})

const RunError = builder.objectRef<{ code: string; message: string }>('RunError').implement({
  description: 'Why a run did not complete.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'One of the error codes of the API.' }),
    message: t.exposeString('message', { description: 'What went wrong, for people.' }),
  }),
})

const RunUsage = builder.objectRef<RunRow>('RunUsage').implement({
  description: 'What a run has used.',
  fields: (t) => ({
    inputTokens: t.exposeInt('inputTokens', { description: 'Tokens sent to the model.' }),
    outputTokens: t.exposeInt('outputTokens', { description: 'Tokens that the model wrote.' }),
    cachedInputTokens: t.exposeInt('cachedInputTokens', {
      description: 'Those of the input that the provider had cached.',
    }),
    cost: t.expose('cost', {
      type: 'Decimal',
      description: 'US dollars; 0 also where the price is not known, in which case the reply has no cost.',
    }),
  }),
})

export const Run = builder.prismaNode('Run', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    return { tenantId_id: { tenantId: viewer.tenantId, id }, ...onVisibleSession(viewer) }
  },
  description: 'One attempt to answer a user message.',
  fields: (t) => ({
    status: t.expose('status', { type: RunStatus, description: 'Where it stands.' }),
    model: t.exposeString('model', { description: 'The model that answers.' }),
    parameters: t.expose('parameters', {
      type: 'JSON',
      description: 'The model parameters that were settled for it.',
    }),
    userMessage: t.relation('userMessage', { description: 'The message that it answers.' }),
    assistantMessage: t.relation('assistantMessage', {
      description: 'The reply; of a run that called tools, the latest one.',
    }),
    error: t.field({
      type: RunError,
      nullable: true,
      description: 'Why it did not complete; null unless it failed or was interrupted.',
      extensions: sameForAll,
      resolve: ({ errorCode, errorMessage }) =>
        errorCode === null ? null : { code: errorCode, message: errorMessage ?? '' },
    }),
    usage: t.field({
      type: RunUsage,
      description: 'What it has used.',
      extensions: sameForAll,
      resolve: (run) => run,
    }),
    queuedAt: t.expose('queuedAt', { type: 'DateTime', description: 'When it was asked for.' }),
    startedAt: t.expose('startedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When its turn came first.',
    }),
    firstTokenAt: t.expose('firstTokenAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the first word came.',
    }),
    finishedAt: t.expose('finishedAt', { type: 'DateTime', nullable: true, description: 'When it ended.' }),
    timeToFirstTokenMs: t.int({
      nullable: true,
      description: 'Milliseconds from being asked for to the first word.',
      extensions: sameForAll,
      resolve: ({ queuedAt, firstTokenAt }) => firstTokenAt && firstTokenAt.getTime() - queuedAt.getTime(),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  activeRun: t.field({
    type: Run,
    nullable: true,
    description: 'The run that is being answered now.',
    resolve: async (session, _args, context) => {
      const open = await context.services.runs.open(viewerOf(context), session.id)
      return open.find(({ status }) => status !== 'QUEUED') ?? null
    },
  }),
  queuedRuns: t.field({
    type: [Run],
    description: 'The runs that wait for their turn, the next one first.',
    resolve: async (session, _args, context) => {
      const open = await context.services.runs.open(viewerOf(context), session.id)
      return open.filter(({ status }) => status === 'QUEUED')
    },
  }),
}))

builder.queryField('run', (t) =>
  t.prismaField({
    type: Run,
    nullable: true,
    description: 'One run, or null where it does not exist or is not visible.',
    args: { id: t.arg.id({ required: true, description: 'The id of the run.' }).validate(idOf('Run')) },
    resolve: (query, _root, { id }, context) => {
      const viewer = viewerOf(context)
      const where = { tenantId: viewer.tenantId, id, ...onVisibleSession(viewer) }
      return viewer.db.prisma.run.findFirst({ ...query, where })
    },
  }),
)

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
    errors: {
      types: [
        ValidationError,
        NotFoundError,
        ForbiddenError,
        ConflictError,
        LimitError,
        QuotaError,
        RateLimitedError,
        RunInProgressError,
        ModelUnavailableError,
      ],
    },
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
      model: t.input.string({ description: 'Model id (`provider:name`) for this reply only.' }),
      parameters: t.input.field({
        type: 'JSONObject',
        description: 'Model parameters for this reply, over those of the session.',
      }),
      contextPolicy: t.input.field({
        type: 'ContextPolicyInput',
        description: 'What of the conversation the model is sent for this reply, over that of the session.',
      }),
      documentIds: t.input
        .idList({
          description:
            'The documents that this reply may draw on, at most 100 that you see; by default those of the session, with an empty list none.',
        })
        .validate(idOf('Document').array().nullish()),
      onBusy: t.input.field({
        type: OnBusy,
        defaultValue: 'ENQUEUE',
        description: 'What to do where the session is answering already.',
      }),
      wait: t.input.boolean({
        defaultValue: false,
        description:
          'Answers only when the run has ended, or waits for the results of tools, for scripts that want no subscription.',
      }),
    },
    resolve: async (_root, { input: { wait, ...message } }, context) => {
      const viewer = viewerOf(context)
      const sent = await context.services.sending.send(viewer, message)
      return wait ? context.services.runs.waitForEnd(viewer, sent) : sent
    },
  }),
)

const CancelRunPayload = builder.objectRef<RunRow>('CancelRunPayload').implement({
  description:
    'The run has ended: by this, or before it; or its server was asked to stop and has yet to answer.',
  fields: (t) => ({
    run: t.field({ type: Run, description: 'As it is now.', resolve: (run) => run }),
  }),
})

builder.mutationField('cancelRun', (t) =>
  t.fieldWithInput({
    type: CancelRunPayload,
    description:
      'Stops a run, from any device and as often as you like; the text so far stays. Waits for its end, 5 seconds at most ' +
      'where another server works on it.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The run to stop.' },
    argOptions: { description: 'The run to stop.' },
    input: { runId: t.input.id({ required: true, description: 'The run.' }).validate(idOf('Run')) },
    resolve: (_root, { input }, context) => context.services.runs.cancel(viewerOf(context), input.runId),
  }),
)
