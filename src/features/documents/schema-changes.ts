import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { Document } from './schema.ts'

builder.subscriptionField('documentChanged', (t) =>
  t.field({
    type: Document,
    description:
      'A document as it is, then again whenever anything of it changes, whatever server indexes it; while it is INDEXING ' +
      'that is its `progress`, about twice a second. Ends within 5 s of when it is deleted or no longer visible.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the document.' }).validate(idOf('Document')),
    },
    subscribe: (_root, { id }, context) => context.services.documents.follow(viewerOf(context), id),
    resolve: (document) => document,
  }),
)
