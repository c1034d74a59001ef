import { actingFields, actorOf, ownerFields } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf, idsOf } from '../../graphql/ids.ts'
import {
  ConflictError,
  ForbiddenError,
  LimitError,
  ModelUnavailableError,
  NotFoundError,
  ValidationError,
} from '../../lib/errors.ts'
import type { Created, GotOrCreated } from './creation.ts'
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
  contextPolicy: t.field({
    type: 'ContextPolicyInput',
    description: 'What of the conversation the model is sent, over that of the agent.',
  }),
  metadata: t.field({
    type: 'JSONObject',
    description: 'Anything to keep with it; at most 16 KiB (CHAT_METADATA_MAX_BYTES).',
  }),
  tags: t.stringList({ description: 'Labels; at most 20 of 64 characters.' }),
  documentIds: t
    .idList({
      description:
        'The documents that its answers draw on, at most 100 that you see; in an update all of them anew. Whoever sees the session sees them.',
    })
    .validate(idsOf('Document').nullish()),
})

/** Whose a new session is, and what it is made from. */
const origin = (t: InputFields) => ({
  template: t
    .id({ description: 'Made from this template; what is given beside it goes over it.' })
    .validate(idOf('Template').nullish()),
  ...ownerFields(t),
})

const clientId = (t: InputFields) =>
  t.string({
    description:
      'A key that the client makes up: repeated with the same arguments it gives the same session.',
  })

const failures = {
  types: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitError, ModelUnavailableError],
}

const deactivatedSessions =
  'Sessions that lost `isActive` because the user has too many with this agent; the longest quiet ones, as far as the ' +
  'viewer may see them.'

const createdPayload = (name: string, description: string) =>
  builder.objectRef<Created>(name).implement({
    description,
    fields: (t) => ({
      session: t.field({ type: Session, description: 'The session.', resolve: ({ session }) => session }),
      deactivatedSessions: t.field({
        type: [Session],
        description: deactivatedSessions,
        resolve: ({ deactivated }) => deactivated,
      }),
    }),
  })

builder.mutationField('createSession', (t) =>
  t.fieldWithInput({
    type: createdPayload(
      'CreateSessionPayload',
      'A session was made, or the same `clientId` had made it before.',
    ),
    description: 'Makes a session. Everything is optional.',
    errors: failures,
    typeOptions: { description: 'The new session.' },
    argOptions: { description: 'The new session.' },
    input: { ...settings(t.input), ...origin(t.input), clientId: clientId(t.input) },
    resolve: (_root, { input }, context) => context.services.sessions.create(viewerOf(context), input),
  }),
)

const GetOrCreateSessionPayload = builder.objectRef<GotOrCreated>('GetOrCreateSessionPayload').implement({
  description: 'The session under the key.',
  fields: (t) => ({
    session: t.field({ type: Session, description: 'The session.', resolve: ({ session }) => session }),
    created: t.exposeBoolean('created', { description: 'Whether it was made just now.' }),
    deactivatedSessions: t.field({
      type: [Session],
      description: deactivatedSessions,
      resolve: ({ deactivated }) => deactivated,
    }),
  }),
})

builder.mutationField('getOrCreateSession', (t) =>
  t.fieldWithInput({
    type: GetOrCreateSessionPayload,
    description:
      'The session of a user under a key, as it is, or a new one with these settings. A deleted one counts as gone.',
    errors: failures,
    typeOptions: { description: 'Which session, and how to make it.' },
    argOptions: { description: 'Which session, and how to make it.' },
    input: {
      key: t.input.string({
        required: true,
        description: 'The key, 1 to 255 characters, such as the number of a ticket; each user has its own.',
      }),
      ...settings(t.input),
      ...origin(t.input),
    },
    resolve: (_root, { input }, context) => context.services.sessions.getOrCreate(viewerOf(context), input),
  }),
)

builder.mutationField('forkSession', (t) =>
  t.fieldWithInput({
    type: createdPayload(
      'ForkSessionPayload',
      'A session of the viewer was made, or the same `clientId` had made it before.',
    ),
    description:
      'Makes a session that begins with a copy of another: its settings, and its messages up to and including one. ' +
      'An older version of a message brings the conversation that it stood in.',
    errors: failures,
    typeOptions: { description: 'What to fork, and where.' },
    argOptions: { description: 'What to fork, and where.' },
    input: {
      sessionId: t.input
        .id({ required: true, description: 'The session to copy; the right to read it is enough.' })
        .validate(idOf('Session')),
      atMessageId: t.input
        .id({ required: true, description: 'The last message to copy.' })
        .validate(idOf('Message')),
      title: t.input.string({ description: 'Title of the fork; that of the copied session by default.' }),
      ...actingFields(t.input),
      clientId: clientId(t.input),
    },
    resolve: (_root, { input }, context) => context.services.sessions.fork(viewerOf(context), input),
  }),
)

builder.mutationField('updateSession', (t) =>
  t.fieldWithInput({
    type: createdPayload('UpdateSessionPayload', 'The session was changed.'),
    description:
      'Changes a session: what is left out stays, null clears. Its editors may; `agent` and `isActive` are for its owners.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, LimitError, ModelUnavailableError] },
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      ...settings(t.input),
      isActive: t.input.boolean({
        description: 'The stored flag. Setting it obeys the limit of active sessions, as a new session does.',
      }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input: { sessionId, ...changes } }, context) =>
      context.services.sessions.update(await actorOf(context, changes), sessionId, changes),
  }),
)
