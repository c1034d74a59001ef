import type { Session as SessionRow } from '../../db/client.ts'
import { actingFields } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { mostUnread } from './read-marks.ts'

builder.prismaObjectFields('Session', (t) => ({
  viewerLastReadSeq: t.int({
    description: 'The `seq` up to which the viewer has read; 0 before its first `markRead`.',
    resolve: ({ id }, _args, context) => context.services.readMarks.lastReadSeq(viewerOf(context), id),
  }),
  viewerUnread: t.int({
    description: `How many messages above \`viewerLastReadSeq\` somebody else wrote, other people or the model; of the latest ${mostUnread.ofSession.toLocaleString('en')} messages at most.`,
    resolve: ({ id }, _args, context) => context.services.readMarks.unread(viewerOf(context), id),
  }),
}))

builder.objectField('Viewer', 'unread', (t) =>
  t.int({
    description: `The sum of \`viewerUnread\` over the latest ${mostUnread.sessions.toLocaleString('en')} sessions of the viewer and as many that it takes part in; ${mostUnread.total.toLocaleString('en')} at most.`,
    resolve: (viewer, _args, context) => context.services.readMarks.totalUnread(viewer),
  }),
)

const MarkReadPayload = builder.objectRef<SessionRow>('MarkReadPayload').implement({
  description: 'The messages count as read.',
  fields: (t) => ({
    session: t.prismaField({
      type: 'Session',
      description: 'The session.',
      resolve: (_query, session) => session,
    }),
  }),
})

builder.mutationField('markRead', (t) =>
  t.fieldWithInput({
    type: MarkReadPayload,
    description:
      'Notes how far the viewer has read a session, on all of its devices. A mark never goes back.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'What was read, and how far.' },
    argOptions: { description: 'What was read, and how far.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      seq: t.input.int({ description: 'The `seq` of the last message that was read; all by default.' }),
      ...actingFields(t.input),
    },
    resolve: (_root, { input }, context) => context.services.readMarks.mark(viewerOf(context), input),
  }),
)
