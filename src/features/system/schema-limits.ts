import { builder } from '../../graphql/builder.ts'
import type { Limits } from './limits.ts'

const LimitsRef = builder.objectRef<Limits>('Limits').implement({
  description:
    'What this server takes at most; whoever runs it sets that. What is above is refused, never cut.',
  fields: (t) => ({
    messageMaxLength: t.exposeInt('messageMaxLength', {
      description: 'Characters of a message (CHAT_MESSAGE_MAX_LENGTH).',
    }),
    titleMaxLength: t.exposeInt('titleMaxLength', {
      description: 'Characters of a title (CHAT_TITLE_MAX_LENGTH).',
    }),
    metadataMaxBytes: t.exposeInt('metadataMaxBytes', {
      description: 'Bytes of metadata, written as JSON (CHAT_METADATA_MAX_BYTES).',
    }),
    documentMaxBytes: t.exposeInt('documentMaxBytes', {
      description: 'Bytes of a document, as the file is (DOCUMENT_MAX_BYTES).',
    }),
    documentsPerUser: t.exposeInt('documentsPerUser', {
      description: 'Documents of a user (DOCUMENTS_PER_USER).',
    }),
    requestMaxBytes: t.exposeInt('requestMaxBytes', {
      description:
        'Bytes of a request that brings no document, such as one that imports a conversation (HTTP_BODY_MAX_BYTES).',
    }),
    sessionPageSizeMax: t.int({
      description: 'Sessions of a page (CHAT_MAX_PAGE_SIZE).',
      resolve: ({ sessionPages }) => sessionPages.max,
    }),
    messagePageSizeMax: t.int({
      description: 'Messages of a page (MESSAGE_MAX_PAGE_SIZE).',
      resolve: ({ messagePages }) => messagePages.max,
    }),
  }),
})

builder.queryField('limits', (t) =>
  t.field({
    type: LimitsRef,
    description: 'What this server takes at most, so that a client can say so before it asks.',
    resolve: (_root, _args, context) => context.services.limits,
  }),
)
