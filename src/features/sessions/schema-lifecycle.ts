import type { Session as SessionRow } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { Session } from './schema.ts'

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const sessionId = (t: InputFields) =>
  t.id({ required: true, description: 'The session.' }).validate(idOf('Session'))

const failures = { types: [ValidationError, NotFoundError, ForbiddenError] }

const DeleteSessionPayload = builder
  .objectRef<{ id: string; deletedAt: Date }>('DeleteSessionPayload')
  .implement({
    description: 'The session is deleted: gone from every ordinary read and its feed ended, but not erased.',
    fields: (t) => ({
      sessionId: t.id({ description: 'The session.', resolve: ({ id }) => encodeId('Session', id) }),
      deletedAt: t.field({
        type: 'DateTime',
        description: 'When it was deleted.',
        resolve: ({ deletedAt }) => deletedAt,
      }),
    }),
  })

builder.mutationField('deleteSession', (t) =>
  t.fieldWithInput({
    type: DeleteSessionPayload,
    description:
      'Takes a session out of every ordinary read and stops what runs in it; `restoreSession` brings it back.',
    errors: failures,
    typeOptions: { description: 'The session to delete.' },
    argOptions: { description: 'The session to delete.' },
    input: { sessionId: sessionId(t.input), ...actingFields(t.input) },
    resolve: async (_root, { input }, context) =>
      context.services.sessions.remove(await actorOf(context, input), input.sessionId),
  }),
)

const RestoreSessionPayload = builder.objectRef<SessionRow>('RestoreSessionPayload').implement({
  description: 'The session is there again.',
  fields: (t) => ({
    session: t.field({ type: Session, description: 'As it is now.', resolve: (session) => session }),
  }),
})

builder.mutationField('restoreSession', (t) =>
  t.fieldWithInput({
    type: RestoreSessionPayload,
    description:
      'Brings a deleted session back, for its owners. One that was active comes back inactive where the limit of ' +
      'active sessions leaves no room.',
    errors: failures,
    typeOptions: { description: 'The session to restore.' },
    argOptions: { description: 'The session to restore.' },
    input: { sessionId: sessionId(t.input), ...actingFields(t.input) },
    resolve: async (_root, { input }, context) =>
      context.services.sessions.restore(await actorOf(context, input), input.sessionId),
  }),
)

const PurgeSessionPayload = builder.objectRef<{ id: string }>('PurgeSessionPayload').implement({
  description: 'The session is erased.',
  fields: (t) => ({
    sessionId: t.id({ description: 'What its id was.', resolve: ({ id }) => encodeId('Session', id) }),
  }),
})

builder.mutationField('purgeSession', (t) =>
  t.fieldWithInput({
    type: PurgeSessionPayload,
    description:
      'Erases a session, deleted before or not, with its messages and runs, for ever. Its forks stay, without a parent.',
    errors: failures,
    typeOptions: { description: 'The session to erase.' },
    argOptions: { description: 'The session to erase.' },
    input: { sessionId: sessionId(t.input), ...actingFields(t.input) },
    resolve: async (_root, { input }, context) =>
      context.services.sessions.purge(await actorOf(context, input), input.sessionId),
  }),
)
