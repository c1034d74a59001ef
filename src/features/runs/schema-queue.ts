import type { Run as RunRow } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import type { Moved } from './queue.ts'
import { Run } from './schema.ts'

const errors = { types: [ValidationError, NotFoundError, ForbiddenError] }

builder.prismaObjectFields('Run', (t) => ({
  queuePosition: t.int({
    nullable: true,
    description:
      'How many runs of the session come before it, 0 for the next; null where it does not wait. Read now, also in an ' +
      'event: it falls with every run that starts or is cancelled before it.',
    resolve: (run, _args, context) => context.services.runQueue.position(viewerOf(context), run),
  }),
}))

const MoveQueuedRunPayload = builder.objectRef<Moved>('MoveQueuedRunPayload').implement({
  description: 'The run has its place.',
  fields: (t) => ({
    run: t.field({ type: Run, description: 'The run that was moved.', resolve: ({ run }) => run }),
    queuedRuns: t.field({
      type: [Run],
      description: 'The whole line after the move.',
      resolve: ({ queue }) => queue,
    }),
    session: t.prismaField({
      type: 'Session',
      description: 'The session, as it is now.',
      resolve: (_query, { session }) => session,
    }),
  }),
})

builder.mutationField('moveQueuedRun', (t) =>
  t.fieldWithInput({
    type: MoveQueuedRunPayload,
    description:
      'Gives a waiting run another place in the line of its session. Every run whose place changes is told by RunQueued.',
    errors,
    typeOptions: { description: 'The run to move, and where to.' },
    argOptions: { description: 'The run to move, and where to.' },
    input: {
      runId: t.input.id({ required: true, description: 'A run that waits.' }).validate(idOf('Run')),
      position: t.input.int({
        required: true,
        description:
          'How many runs shall come before it: 0 for the next; a number past the end means the end.',
      }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.runQueue.move(await actorOf(context, input), input),
  }),
)

const CancelSessionRunsPayload = builder.objectRef<{ runs: RunRow[] }>('CancelSessionRunsPayload').implement({
  description: 'The runs were stopped.',
  fields: (t) => ({
    runs: t.field({
      type: [Run],
      description: 'Those that had not ended, as they are now, the last in line first.',
      resolve: ({ runs }) => runs,
    }),
  }),
})

builder.mutationField('cancelSessionRuns', (t) =>
  t.fieldWithInput({
    type: CancelSessionRunsPayload,
    description:
      'Stops all runs of a session: those that wait, then the one that is answered, whose text so far stays.',
    errors,
    typeOptions: { description: 'Where to stop all runs.' },
    argOptions: { description: 'Where to stop all runs.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) => ({
      runs: await context.services.runs.cancelAll(
        await actorOf(context, input),
        input.sessionId,
        context.gone?.(),
      ),
    }),
  }),
)
