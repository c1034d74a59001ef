import type { Session as SessionRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import {
  ConflictError,
  ForbiddenError,
  LimitError,
  ModelUnavailableError,
  NotFoundError,
  ValidationError,
} from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { Session } from './schema.ts'

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

/** What creation and update have in common. Limits are checked by the service, which knows the configuration. */
const settings = (t: InputFields) => ({
  title: t.string({
    description: 'Title, at most 255 characters (CHAT_TITLE_MAX_LENGTH). One that a person sets stays.',
  }),
  agent: t.string({ description: 'The agent that answers; its key, such as `primary`, or its id.' }),
  model: t.string({ description: 'Model id (`provider:name`), over that of the agent.' }),
  systemPrompt: t.string({ description: 'What the model is told first, over that of the agent.' }),
  parameters: t.field({
    type: 'JSONObject',
    description:
      'Model parameters over those of the agent: temperature, topP, topK, maxOutputTokens, stop, seed.',
  }),
  metadata: t.field({
    type: 'JSONObject',
    description: 'Anything to keep with it; at most 16 KiB (CHAT_METADATA_MAX_BYTES).',
  }),
  tags: t.stringList({ description: 'Labels; at most 20 of 64 characters.' }),
})

const CreateSessionPayload = builder
  .objectRef<{ session: SessionRow; deactivated: SessionRow[] }>('CreateSessionPayload')
  .implement({
    description: 'A session was made, or the same `clientId` had made it before.',
    fields: (t) => ({
      session: t.field({ type: Session, description: 'The session.', resolve: ({ session }) => session }),
      deactivatedSessions: t.field({
        type: [Session],
        description:
          'Sessions that lost `isActive` because the user has too many with this agent; the longest quiet ones.',
        resolve: ({ deactivated }) => deactivated,
      }),
    }),
  })

builder.mutationField('createSession', (t) =>
  t.fieldWithInput({
    type: CreateSessionPayload,
    description: 'Makes a session. Everything is optional.',
    errors: {
      types: [
        ValidationError,
        NotFoundError,
        ForbiddenError,
        ConflictError,
        LimitError,
        ModelUnavailableError,
      ],
    },
    typeOptions: { description: 'The new session.' },
    argOptions: { description: 'The new session.' },
    input: {
      ...settings(t.input),
      userId: t.input
        .id({ description: 'The owner, where an admin or a service token acts for somebody else.' })
        .validate(idOf('User').nullish()),
      clientId: t.input.string({
        description:
          'A key that the client makes up: repeated with the same arguments it gives the same session.',
      }),
    },
    resolve: (_root, { input }, context) => context.services.sessions.create(viewerOf(context), input),
  }),
)

const UpdateSessionPayload = builder.objectRef<SessionRow>('UpdateSessionPayload').implement({
  description: 'The session was changed.',
  fields: (t) => ({
    session: t.field({ type: Session, description: 'As it is now.', resolve: (session) => session }),
  }),
})

builder.mutationField('updateSession', (t) =>
  t.fieldWithInput({
    type: UpdateSessionPayload,
    description: 'Changes a session: what is left out stays, null clears.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ModelUnavailableError] },
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      ...settings(t.input),
      isActive: t.input.boolean({ description: 'The stored flag.' }),
    },
    resolve: (_root, { input: { sessionId, ...changes } }, context) =>
      context.services.sessions.update(viewerOf(context), sessionId, changes),
  }),
)

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
    description: 'Takes a session out of every ordinary read and stops what runs in it.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The session to delete.' },
    argOptions: { description: 'The session to delete.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
    },
    resolve: (_root, { input }, context) =>
      context.services.sessions.remove(viewerOf(context), input.sessionId),
  }),
)
