import { queryFromInfo } from '@pothos/plugin-prisma'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf, idsOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { commonAbove, maxMatches } from './places.ts'
import { type SearchHit as Hit, searchPageSizes } from './service.ts'
import type { Snippet } from './snippet.ts'

const SearchHighlight = builder.objectRef<Snippet['highlights'][number]>('SearchHighlight').implement({
  description: 'Where a word that was looked for stands in a snippet, in UTF-16 units as in JavaScript.',
  fields: (t) => ({
    start: t.exposeInt('start', { description: 'The place of its first unit.' }),
    end: t.exposeInt('end', { description: 'The place after its last unit.' }),
  }),
})

const SearchSnippet = builder.objectRef<Snippet>('SearchSnippet').implement({
  description: 'A piece of the text that was found. Plain text: show it as such and mark the highlights.',
  fields: (t) => ({
    text: t.exposeString('text', {
      description:
        'One or two passages around the words, with an ellipsis between; tags of HTML are left out.',
    }),
    highlights: t.field({
      type: [SearchHighlight],
      description: 'Where the words stand in it, in order.',
      resolve: ({ highlights }) => highlights,
    }),
  }),
})

const SearchHit = builder.objectRef<Hit>('SearchHit').implement({
  description: 'A message, or the title of a session, in which the words stand.',
  fields: (t) => ({
    session: t.prismaField({
      type: 'Session',
      description: 'The session.',
      resolve: (_query, { session }) => session,
    }),
    message: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The message; null where the title was found.',
      resolve: (_query, { message }) => message,
    }),
    rank: t.exposeFloat('rank', {
      description:
        'How well it fits. To be compared within one search only; titles count more than messages.',
    }),
    snippet: t.expose('snippet', { type: SearchSnippet, description: 'The text around the words.' }),
  }),
})

const SearchFilter = builder.inputType('SearchFilter', {
  description: 'Where to look; conditions add up.',
  fields: (t) => ({
    sessionIds: t
      .idList({ description: 'In these sessions; at most 100.' })
      .validate(idsOf('Session').nullish()),
    userId: t.id({ description: 'In sessions of this owner.' }).validate(idOf('User').nullish()),
    agent: t.string({ description: 'In sessions answered by this agent; its key or id.' }),
    tags: t.stringList({ description: 'In sessions that carry all of these tags.' }),
    role: t.field({ type: 'MessageRole', description: 'In messages of this role; titles are left out.' }),
    createdAfter: t.field({
      type: 'DateTime',
      description: 'In messages stored, and titles of sessions made, at or after this.',
    }),
    createdBefore: t.field({ type: 'DateTime', description: 'The same before this.' }),
  }),
})

const SearchHitConnection = connectionOf('SearchHit', SearchHit, 'hit')

builder.queryField('search', (t) =>
  t.field({
    type: SearchHitConnection,
    description: `Finds words in the messages and titles of the sessions that the viewer sees, best first. Deleted sessions, replaced messages and replies that are being written are left out. Of a message the first 50,000 characters count. The newest ${maxMatches} matches are ranked and counted, older ones are not. Words in more than ${commonAbove.toLocaleString('en')} messages of the tenant are looked for in its latest conversations alone.`,
    complexity: pageComplexity(searchPageSizes),
    args: {
      query: t.arg.string({
        required: true,
        description:
          'Words that must all be there; "a phrase", `or` between alternatives, `-` before what must not be there. Words are found whole, in any case. One without a word to look for finds nothing.',
      }),
      filter: t.arg({ type: SearchFilter, description: 'Where to look; everywhere by default.' }),
      ...pageArgs(t.arg, searchPageSizes),
    },
    resolve: (_root, args, context, info) => {
      const selection = (typeName: string, field: string) =>
        queryFromInfo({
          context,
          info,
          typeName,
          paths: [
            ['nodes', field],
            ['edges', 'node', field],
          ],
        })
      return context.services.search.find(viewerOf(context), args, {
        session: selection('Session', 'session'),
        message: selection('Message', 'message'),
      })
    },
  }),
)
