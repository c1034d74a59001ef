import { onVisibleSession } from '../../auth/policy.ts'
import type { Run as RunRow } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'

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
    input: {
      runId: t.input.id({ required: true, description: 'The run.' }).validate(idOf('Run')),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.runs.cancel(await actorOf(context, input), input.runId, context.gone?.()),
  }),
)
