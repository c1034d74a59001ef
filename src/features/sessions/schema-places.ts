import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { Session } from './schema.ts'

builder.prismaObjectFields('Message', (t) => ({
  session: t.field({
    type: Session,
    nullable: true,
    description: 'The session it belongs to; null where it is of a stateless run.',
    resolve: ({ sessionId }, _args, context) =>
      context.services.sessions.ofPlace(viewerOf(context), sessionId),
  }),
}))

builder.prismaObjectFields('Run', (t) => ({
  session: t.field({
    type: Session,
    nullable: true,
    description: 'The session it runs in; null for a stateless run.',
    resolve: ({ sessionId }, _args, context) =>
      context.services.sessions.ofPlace(viewerOf(context), sessionId),
  }),
}))
