import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { eventAsItIs } from '../../graphql/shared.ts'
import type { RunSnapshot } from './run-events.ts'
import { RunEvent, SnapshotReason } from './schema-feeds.ts'

builder.objectRef<RunSnapshot>('RunSnapshot').implement({
  description: 'The state of a run at this place of its feed.',
  interfaces: [RunEvent],
  fields: (t) => ({
    reason: t.expose('reason', { type: SnapshotReason, description: 'Why it is sent.' }),
    run: t.prismaField({ type: 'Run', description: 'The run.', resolve: (_query, { run }) => run }),
    messages: t.prismaField({
      type: ['Message'],
      description:
        'What it answers and what it has said, oldest first, the last 200 messages; each with all of its text so far.',
      resolve: (_query, { messages }) => messages,
    }),
  }),
})

builder.subscriptionField('runEvents', (t) =>
  t.field({
    type: RunEvent,
    description:
      'The live feed of one run, stateless or of a session, up to its end. With `after`: every event since, once and in ' +
      'order, then live. Without it, or where history does not reach back, a snapshot first.',
    args: {
      runId: t.arg.id({ required: true, description: 'The run.' }).validate(idOf('Run')),
      after: t.arg({ type: 'Cursor', description: 'The cursor of the last event that the reader has.' }),
    },
    subscribe: (_root, { runId, after }, context) =>
      context.services.live.followRun(viewerOf(context), runId, after),
    extensions: eventAsItIs,
    resolve: (event) => event,
  }),
)
