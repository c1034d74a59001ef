import type { Document as DocumentRow } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, LimitError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { Document } from './schema.ts'

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

/** The service checks them: it knows the configuration. */
const content = (t: InputFields) => ({
  text: t.string({
    description: 'The content as text, at most 10 MiB as UTF-8 (DOCUMENT_MAX_BYTES). Not for PDF.',
  }),
  base64: t.string({
    description: 'The content as the base64 of the file, in place of `text`; at most 10 MiB of file.',
  }),
  metadata: t.field({ type: 'JSONObject', description: 'Anything to keep with it; at most 16 KiB.' }),
})

const documentPayload = (name: string, description: string) =>
  builder.objectRef<DocumentRow>(name).implement({
    description,
    fields: (t) => ({
      document: t.field({ type: Document, description: 'As it is now.', resolve: (document) => document }),
    }),
  })

const documentId = (t: InputFields) =>
  t.id({ required: true, description: 'The document.' }).validate(idOf('Document'))

builder.mutationField('createDocument', (t) =>
  t.fieldWithInput({
    type: documentPayload('CreateDocumentPayload', 'The document is stored and being indexed.'),
    description:
      'Stores a document of the viewer and has it indexed in the background. Over HTTP; a WebSocket takes small ones only.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, LimitError] },
    typeOptions: { description: 'The new document.' },
    argOptions: { description: 'The new document.' },
    input: {
      title: t.input.string({
        required: true,
        description: 'Its title, 1 to 255 characters (CHAT_TITLE_MAX_LENGTH).',
      }),
      mimeType: t.input.string({
        defaultValue: 'text/plain',
        description: '`text/plain`, `text/markdown` or `application/pdf`.',
      }),
      ...content(t.input),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.documents.create(await actorOf(context, input), input),
  }),
)

builder.mutationField('updateDocument', (t) =>
  t.fieldWithInput({
    type: documentPayload('UpdateDocumentPayload', 'The document was changed.'),
    description:
      'Changes a document, for its owner and admins; what is left out or null stays. A new content is indexed anew, and the one before is searched until that is done.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      documentId: documentId(t.input),
      title: t.input.string({ description: 'Its title, 1 to 255 characters.' }),
      mimeType: t.input.string({ description: 'What the new content is; as before by default.' }),
      ...content(t.input),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.documents.update(await actorOf(context, input), input),
  }),
)

const DeleteDocumentPayload = builder.objectRef<{ id: string }>('DeleteDocumentPayload').implement({
  description:
    'The document is gone, from the sessions that it hung on and from the citations of replies, too.',
  fields: (t) => ({
    documentId: t.id({ description: 'The document.', resolve: ({ id }) => encodeId('Document', id) }),
  }),
})

builder.mutationField('deleteDocument', (t) =>
  t.fieldWithInput({
    type: DeleteDocumentPayload,
    description: 'Erases a document with all that was indexed of it, for its owner and admins.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The document to delete.' },
    argOptions: { description: 'The document to delete.' },
    input: { documentId: documentId(t.input), ...actingFields(t.input) },
    resolve: async (_root, { input }, context) =>
      context.services.documents.remove(await actorOf(context, input), input.documentId),
  }),
)
