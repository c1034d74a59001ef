import type { Session as SessionRow } from '../../db/client.ts'
import { actingFields, actorOf, ownerFields } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import type { Import } from './importing.ts'
import type { ExportLink } from './service.ts'

const ExportFormat = builder.enumType('ExportFormat', {
  description: 'How a session is written to a file.',
  values: {
    JSON: { description: 'Everything, in the documented format `parley/1`; `importSession` reads it.' },
    MARKDOWN: { description: 'The conversation as it stands, for people.' },
  } as const,
})

const ImportFormat = builder.enumType('ImportFormat', {
  description: 'Where a file comes from.',
  values: {
    AUTO: { description: 'Tell it by the file.' },
    PARLEY: { description: 'An export of this server in JSON (`parley/1`).' },
    CHATGPT: { description: "A conversation of `conversations.json` in ChatGPT's data export." },
    LIBRECHAT: { description: "LibreChat's export of a conversation in JSON." },
  } as const,
})

const ExportSessionPayload = builder.objectRef<ExportLink>('ExportSessionPayload').implement({
  description: 'The session can be downloaded.',
  fields: (t) => ({
    url: t.string({
      description:
        'Where to get it, from the origin of this API: `/exports/…`. Whoever has it needs no token, so treat it as one.',
      resolve: ({ token }) => `/exports/${token}`,
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'Until when: ten minutes from now, or as long as the token of the request.',
    }),
    filename: t.exposeString('filename', { description: 'A name for the file, after the title.' }),
  }),
})

builder.mutationField('exportSession', (t) =>
  t.fieldWithInput({
    type: ExportSessionPayload,
    description:
      'Gives a link that downloads a session. Rights are looked at again when it is opened, and while it is read.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'What to export.' },
    argOptions: { description: 'What to export.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      format: t.input.field({
        type: ExportFormat,
        required: true,
        defaultValue: 'JSON',
        description: 'How to write it.',
      }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.transfer.link(await actorOf(context, input), input.sessionId, input.format),
  }),
)

const ImportSessionPayload = builder.objectRef<Import>('ImportSessionPayload').implement({
  description: 'Every conversation of the file is stored, each as a session that is not active.',
  fields: (t) => ({
    session: t.prismaField({
      type: 'Session',
      description: 'The session; of a file with several, the first.',
      resolve: (_query, { sessions }) => sessions[0] as SessionRow,
    }),
    sessions: t.prismaField({
      type: ['Session'],
      description: 'The sessions, in the order of the file.',
      resolve: async (query, { sessions }, _args, context) => {
        const { db, tenantId } = viewerOf(context)
        const ids = sessions.map(({ id }) => id)
        const found = await db.prisma.session.findMany({ ...query, where: { tenantId, id: { in: ids } } })
        const byId = new Map(found.map((session) => [session.id, session]))
        return ids.flatMap((id) => byId.get(id) ?? [])
      },
    }),
    messageCount: t.exposeInt('messageCount', {
      description: 'How many messages the file had in all, older versions among them.',
    }),
  }),
})

builder.mutationField('importSession', (t) =>
  t.fieldWithInput({
    type: ImportSessionPayload,
    description:
      'Stores a file of conversations as sessions. Nothing is stored unless all of the file is sound; ids are new. What the file ' +
      'names that is not to be had here (agents, models, documents, a key that another session has) is left out.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    typeOptions: { description: 'The file to import.' },
    argOptions: { description: 'The file to import.' },
    input: {
      content: t.input.string({
        required: true,
        description:
          'The text of the file: one conversation, or a list of them. A request may have 1 MiB (HTTP_BODY_MAX_BYTES).',
      }),
      format: t.input.field({
        type: ImportFormat,
        required: true,
        defaultValue: 'AUTO',
        description: 'Where it comes from.',
      }),
      agent: t.input.string({
        description: 'The agent that answers from now on, over that of the file; its key or id.',
      }),
      ...ownerFields(t.input),
      clientId: t.input.string({
        description:
          'A key that the client makes up: repeated with the same file it gives the same sessions.',
      }),
    },
    resolve: (_root, { input }, context) =>
      context.services.transfer.importSessions(viewerOf(context), input),
  }),
)
