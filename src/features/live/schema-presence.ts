import type { Session } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import type { Placed, ToldPresence } from './events.ts'
import { SessionEvent } from './schema-feeds.ts'

builder.objectRef<Placed<ToldPresence>>('PresenceChanged').implement({
  description:
    'Somebody came to the session or left it. Told where somebody else is there or was of late: whoever is alone with a ' +
    'session is not told so. Where more than 20 are there, it is told about once a second.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    present: t.prismaField({
      type: ['User'],
      description:
        'Who has the session open now, the reader and admins who look on included: everybody, or 100 of them.',
      extensions: sameForAll,
      resolve: (_query, event) => event.users,
    }),
    presentCount: t.int({
      description: 'How many they are in all.',
      extensions: sameForAll,
      resolve: (event) => event.count,
    }),
  }),
})

builder.objectRef<Placed<ToldPresence>>('TypingChanged').implement({
  description: 'Somebody began to type or stopped.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    typing: t.prismaField({
      type: ['User'],
      description:
        'Everybody who is typing now, or 100 of them, the reader included: its own part is for the client to leave out. ' +
        'The end of it is always told.',
      extensions: sameForAll,
      resolve: (_query, event) => event.users,
    }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  present: t.prismaField({
    type: ['User'],
    description:
      'Who has the session open now: who follows its `sessionEvents` from any device, and for 3 s more. PresenceChanged ' +
      'tells changes of it. At most 100 of them; empty while the server cannot know it.',
    resolve: (_query, session, _args, context) =>
      context.services.presence.usersOf(viewerOf(context), session, 'present'),
  }),
  presentCount: t.int({
    description: 'How many have the session open now.',
    resolve: (session, _args, context) => context.services.presence.countOf(viewerOf(context), session),
  }),
  typing: t.prismaField({
    type: ['User'],
    description: 'Who is typing in it now. TypingChanged tells changes of it.',
    resolve: (_query, session, _args, context) =>
      context.services.presence.usersOf(viewerOf(context), session, 'typing'),
  }),
}))

const SetTypingPayload = builder.objectRef<{ session: Session }>('SetTypingPayload').implement({
  description: 'It is told.',
  fields: (t) => ({
    session: t.prismaField({
      type: 'Session',
      description: 'The session.',
      resolve: (_query, { session }) => session,
    }),
  }),
})

builder.mutationField('setTyping', (t) =>
  t.fieldWithInput({
    type: SetTypingPayload,
    description:
      'Tells the others in a session that the viewer is typing, or has stopped. It ends by itself 6 s after the last call ' +
      'and with the next message of the viewer. Call it again every 3 s or so while it lasts; within 2 s that does nothing.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'Where, and whether.' },
    argOptions: { description: 'Where, and whether.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      isTyping: t.input.boolean({ required: true, description: 'False to end it before its time.' }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) => ({
      session: await context.services.presence.setTyping(await actorOf(context, input), input),
    }),
  }),
)
