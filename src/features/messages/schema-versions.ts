import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'

builder.prismaObjectFields('Message', (t) => ({
  replaces: t.relation('replaces', {
    nullable: true,
    description: 'The version whose place this one took, by an edit or a regeneration.',
  }),
  replacedBy: t.relation('replacedBy', {
    nullable: true,
    description: 'The version that took the place of this one.',
  }),
  replacedAt: t.expose('replacedAt', {
    type: 'DateTime',
    nullable: true,
    description:
      'When it left the conversation, because it or a message before it was edited or regenerated; null while it is part of it.',
  }),
  versions: t.prismaField({
    type: ['Message'],
    description: 'Its versions, oldest first and itself included; the latest 100 of them.',
    resolve: (_query, message, _args, context) =>
      message.replacesId === null && message.replacedAt === null
        ? [message]
        : context.services.messages.versions(viewerOf(context), message.id),
  }),
}))
