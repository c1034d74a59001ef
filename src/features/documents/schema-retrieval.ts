import { z } from 'zod'
import type { Citation as CitationRow, Message as MessageRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idsOf } from '../../graphql/ids.ts'
import { refersTo } from './citations.ts'
import type { Hit } from './retrieval.ts'
import { Document } from './schema.ts'
import { type Placed, surroundingsMaxLength } from './surroundings.ts'

const contextLength = z
  .int('is not a whole number')
  .min(0, 'is below 0')
  .max(surroundingsMaxLength, `is above ${surroundingsMaxLength}, the most that is shown on a side`)

type Excerpt = Placed & Pick<CitationRow, 'page' | 'heading'>

const Passage = builder.objectRef<Excerpt>('Passage')

const PassageContext = builder
  .objectRef<{ before: string; after: string; length: number }>('PassageContext')
  .implement({
    description: 'What stands around a passage in its document. Plain text of whoever wrote the document.',
    fields: (t) => ({
      before: t.string({
        description: 'The text right before the passage; empty where the document begins with it.',
        resolve: ({ before, length }) =>
          length > 0 ? before.slice(-length).replace(/^[\udc00-\udfff]/, '') : '',
      }),
      after: t.string({
        description: 'The text right after the passage; empty where the document ends with it.',
        resolve: ({ after, length }) => after.slice(0, length).replace(/[\ud800-\udbff]$/, ''),
      }),
    }),
  })

Passage.implement({
  description: 'An excerpt of a document. Plain text of whoever wrote the document: show it as such.',
  fields: (t) => ({
    text: t.exposeString('content', { description: 'The text, at most 1,000 characters.' }),
    page: t.exposeInt('page', {
      nullable: true,
      description: 'The page, from 1 on; null where the document has none.',
    }),
    heading: t.exposeString('heading', {
      nullable: true,
      description: 'The headings that it stands under, outermost first; null under none.',
    }),
    startOffset: t.exposeInt('startOffset', {
      description: 'Where it begins in the text of the document, in UTF-16 units as in JavaScript.',
    }),
    endOffset: t.exposeInt('endOffset', { description: 'The place after its end.' }),
    context: t.field({
      type: PassageContext,
      nullable: true,
      description:
        'The text around it, to read it in its place; null where you do not see the document any more, or its content is ' +
        'another by now.',
      complexity: { field: 5 },
      args: {
        length: t.arg
          .int({
            required: true,
            defaultValue: 300,
            description: `Characters on each side at most: 0 to ${surroundingsMaxLength.toLocaleString('en')}.`,
          })
          .validate(contextLength),
      },
      resolve: async (passage, { length }, context) => {
        const found = await context.services.surroundings.of(viewerOf(context), passage)
        return found && { ...found, length }
      },
    }),
  }),
})

const RetrievedPassage = builder.objectRef<Hit>('RetrievedPassage').implement({
  description: 'A passage that was found.',
  fields: (t) => ({
    document: t.field({
      type: Document,
      description: 'The document that it is of.',
      resolve: ({ document }) => document,
    }),
    passage: t.field({ type: Passage, description: 'The passage.', resolve: ({ passage }) => passage }),
    score: t.float({
      description: 'How well it fits. To be compared within one result only.',
      resolve: ({ passage }) => passage.score,
    }),
  }),
})

builder.queryField('retrieve', (t) =>
  t.field({
    type: [RetrievedPassage],
    description:
      'The passages that fit a query best, best first, by the words in them and, where EMBEDDING_MODEL is set, by their meaning.',
    complexity: ({ limit }) => ({ field: 5, multiplier: Math.max(1, (limit ?? 0) > 50 ? 1 : (limit ?? 8)) }),
    args: {
      query: t.arg.string({
        required: true,
        description:
          'A question, or words, at most 2,000 characters; any of the words will do. With operators ("a phrase", `OR`, `-` before a word) the words must stand there as they say.',
      }),
      documentIds: t.arg
        .idList({ description: 'In these documents, at most 100.' })
        .validate(idsOf('Document').nullish()),
      sessionIds: t.arg
        .idList({
          description: 'In the documents of these sessions, at most 100, and in those of `documentIds`.',
        })
        .validate(idsOf('Session').nullish()),
      limit: t.arg.int({ description: 'How many at most; 8 by default, at most 50.' }),
    },
    resolve: (_root, args, context) => context.services.retrieval.retrieve(viewerOf(context), args),
  }),
)

const Citation = builder.objectRef<CitationRow & { text: string | null }>('Citation').implement({
  description: 'A passage that a reply was given to draw on, as it was then.',
  fields: (t) => ({
    marker: t.exposeInt('marker', { description: 'Its number, by which the text refers to it: `[1]`.' }),
    isCited: t.boolean({
      description: 'Whether the text of the reply refers to it by its number.',
      resolve: ({ text, marker }) => refersTo(text, marker),
    }),
    score: t.exposeFloat('score', {
      description: 'How well it fitted the question. To be compared within one reply only.',
    }),
    passage: t.field({ type: Passage, description: 'The passage.', resolve: (citation) => citation }),
    document: t.field({
      type: Document,
      nullable: true,
      description: 'The document that it is of; null where you do not see that any more.',
      resolve: ({ documentId }, _args, context) =>
        context.services.documents.find(viewerOf(context), documentId),
    }),
  }),
})

builder.prismaObjectFields('Message', (t) => ({
  citations: t.field({
    type: [Citation],
    description:
      'The passages of documents that a reply was given, in the order of their numbers; each tells whether the reply refers to it.',
    resolve: async (message: MessageRow, _args, context) => {
      const citations = await context.services.citations.of(viewerOf(context), message.id)
      return citations.map((citation) => ({ ...citation, text: message.content }))
    },
  }),
}))
