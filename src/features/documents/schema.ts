import { queryFromInfo } from '@pothos/plugin-prisma'
import { visibleDocuments } from '../../auth/policy.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { documentPageSizes } from './service.ts'

const DocumentStatus = builder.enumType('DocumentStatus', {
  description: 'Whether a document can be searched.',
  values: {
    INDEXING: { description: 'Its latest content is being read; an earlier one is searched until then.' },
    READY: { description: 'Its latest content is searched.' },
    FAILED: { description: 'Its latest content cannot be read; an earlier one, if any, is searched still.' },
  } as const,
})

export const Document = builder.prismaNode('Document', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    return { tenantId_id: { tenantId: viewer.tenantId, id }, ...visibleDocuments(viewer) }
  },
  description:
    'A text that answers draw on. Its owner and admins see and change it; whoever sees a session that it hangs on sees it.',
  fields: (t) => ({
    title: t.exposeString('title', { description: 'Its title.' }),
    mimeType: t.exposeString('mimeType', {
      description: '`text/plain`, `text/markdown` or `application/pdf`.',
    }),
    bytes: t.exposeInt('bytes', { description: 'The size of its latest content.' }),
    status: t.expose('status', { type: DocumentStatus, description: 'Whether it can be searched.' }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why its latest content cannot be read; null unless it is FAILED.',
    }),
    progress: t.exposeFloat('progress', {
      description: 'How much of the latest content is indexed, 0 to 1; `documentChanged` tells it live.',
    }),
    chunkCount: t.exposeInt('chunkCount', {
      description: 'Into how many passages the content that is searched was cut.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Whatever the client keeps with it.' }),
    // By its own id: a document that goes while it is told must not be looked for once more.
    user: t.prismaField({
      type: 'User',
      description: 'The owner.',
      resolve: (query, { tenantId, userId: id }, _args, context) =>
        viewerOf(context).db.prisma.user.findUniqueOrThrow({
          ...query,
          where: { tenantId_id: { tenantId, id } },
        }),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When anything of it last changed.' }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  documents: t.field({
    type: [Document],
    description: 'The documents that its answers draw on, by title.',
    resolve: async (session, _args, context) => [
      ...(await context.services.documents.ofSession(viewerOf(context), session.id)),
    ],
  }),
}))

builder.queryField('document', (t) =>
  t.prismaField({
    type: Document,
    nullable: true,
    description: 'One document, or null where it does not exist or is not visible.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the document.' }).validate(idOf('Document')),
    },
    resolve: (query, _root, { id }, context) => {
      const viewer = viewerOf(context)
      const where = { tenantId: viewer.tenantId, id, ...visibleDocuments(viewer) }
      return viewer.db.prisma.document.findFirst({ ...query, where })
    },
  }),
)

const DocumentFilterInput = builder.inputType('DocumentFilter', {
  description: 'Which documents to list; conditions add up.',
  fields: (t) => ({
    title: t.string({ description: 'Whose title contains this, in any case.' }),
    status: t.field({ type: DocumentStatus, description: 'In this state.' }),
    sessionId: t.id({ description: 'That hang on this session.' }).validate(idOf('Session').nullish()),
  }),
})

const DocumentConnection = connectionOf('Document', Document, 'document')

builder.queryField('documents', (t) =>
  t.field({
    type: DocumentConnection,
    description:
      'The documents of the viewer and those of the sessions that it sees, the newest first; for admins, those of the tenant.',
    complexity: pageComplexity(documentPageSizes),
    args: {
      ...pageArgs(t.arg, documentPageSizes),
      filter: t.arg({ type: DocumentFilterInput, description: 'Which ones; all by default.' }),
    },
    resolve: (_root, args, context, info) => {
      const paths = [['nodes'], ['edges', 'node']]
      const query = queryFromInfo({ context, info, typeName: 'Document', paths })
      return context.services.documents.page(viewerOf(context), args, query)
    },
  }),
)
