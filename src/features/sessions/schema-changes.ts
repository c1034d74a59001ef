import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { encodeId } from '../../lib/ids.ts'
import { SessionFilterInput } from './schema.ts'
import type { SessionChange as Change } from './sidebar-reader.ts'

const SessionChangeKind = builder.enumType('SessionChangeKind', {
  description: 'What a change of a session is to a list of sessions.',
  values: {
    CREATED: {
      description:
        'It is in the list from now on: it was made, restored or shared, or the filter fits it now. A client that has it ' +
        'already takes it for UPDATED.',
    },
    UPDATED: { description: 'It changed, and stays in the list; its place in the order may be another.' },
    DELETED: {
      description:
        'It is not in the list any more: it was deleted, the viewer may not see it any more, or the filter does not fit it ' +
        'any more. A client that does not have it ignores this.',
    },
    RESET: {
      description:
        'Changes may be missing: read the list now. It comes first, and where the server lost track.',
    },
  } as const,
})

const SessionChange = builder.objectRef<Change>('SessionChange').implement({
  description: 'A change of a list of sessions.',
  fields: (t) => ({
    kind: t.expose('kind', { type: SessionChangeKind, description: 'What it is to the list.' }),
    sessionId: t.id({
      nullable: true,
      description: 'The session; null for RESET.',
      resolve: ({ sessionId }) => sessionId && encodeId('Session', sessionId),
    }),
    session: t.prismaField({
      type: 'Session',
      nullable: true,
      description: 'The session as it is now, for this viewer; null for DELETED and RESET.',
      resolve: (_query, { session }) => session,
    }),
  }),
})

builder.subscriptionField('sessionChanged', (t) =>
  t.field({
    type: SessionChange,
    description:
      'Keeps a list of sessions up to date: changes of those that the viewer may see (its own, shared ones, for admins all of ' +
      'the tenant) and that the filter fits, or did fit. It begins with RESET: whoever reads `sessions` then, and takes in what ' +
      'follows, misses nothing. What happens to a session within 100 ms is told once; the text of replies is not told here. ' +
      'Time alone changes nothing: a session that leaves `recentlyActive` as it ages is not told. Of a list that a filter ' +
      'narrows to more than 2,000 sessions, DELETED may name some that were not in it.',
    args: {
      filter: t.arg({
        type: SessionFilterInput,
        description: 'Which ones, as for `sessions`; all that are not deleted by default.',
      }),
    },
    subscribe: (_root, { filter }, context) => context.services.sidebar.follow(viewerOf(context), filter),
    resolve: (change) => change,
  }),
)
