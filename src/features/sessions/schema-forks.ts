import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { listSelection, Session, SessionConnection, sessionPages } from './schema.ts'

const ForkPoint = builder.objectRef<{ parentId: string; seq: number }>('ForkPoint').implement({
  description: 'Where a fork leaves the session that it copies.',
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'The `seq` that the last copied message has in the parent.' }),
    message: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'That message; null where the viewer may not see the parent, or it is gone.',
      resolve: (_query, { parentId, seq }, _args, context) =>
        context.services.messages.at(viewerOf(context), parentId, seq),
    }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  parent: t.field({
    type: Session,
    nullable: true,
    description: 'The session that it was forked from; null where the viewer may not see it, or it is gone.',
    resolve: (session, _args, context) => context.services.sessions.parentOf(viewerOf(context), session),
  }),
  forkedAt: t.field({
    type: ForkPoint,
    nullable: true,
    description: 'Where it was forked; null for a session that is no fork, or whose parent was erased.',
    resolve: ({ parentId, forkedAtSeq }) =>
      parentId === null || forkedAtSeq === null ? null : { parentId, seq: forkedAtSeq },
  }),
  forks: t.field({
    type: SessionConnection,
    description: 'The sessions forked from it that the viewer may see, the newest first.',
    complexity: pageComplexity(sessionPages),
    args: pageArgs(t.arg, { default: '10 (CHAT_DEFAULT_PAGE_SIZE)', max: '100 (CHAT_MAX_PAGE_SIZE)' }),
    resolve: (session, args, context, info) =>
      context.services.sessions.forksOf(viewerOf(context), session, args, listSelection(context, info)),
  }),
}))
