import type { Session as SessionRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, LimitError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import type { Person } from './people.ts'
import type { Participation } from './service.ts'

const ParticipantRole = builder.enumType('ParticipantRole', {
  description: 'What somebody may do in a session.',
  values: {
    OWNER: { description: 'Everything, deletion included.' },
    EDITOR: {
      description:
        'Reads, writes messages, steers runs, and changes all settings but `agent` and `isActive`, which touch other ' +
        'sessions of the owner.',
    },
    VIEWER: { description: 'Reads.' },
  } as const,
})

const Participant = builder.objectRef<Person>('Participant').implement({
  description: 'Somebody who takes part in a session.',
  fields: (t) => ({
    user: t.prismaField({ type: 'User', description: 'Who it is.', resolve: (_query, { user }) => user }),
    role: t.expose('role', { type: ParticipantRole, description: 'What it may do.' }),
    since: t.expose('since', { type: 'DateTime', description: 'Since when it takes part.' }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  participants: t.field({
    type: [Participant],
    description:
      'Everybody who takes part: first the user whose session it is, then the others as they came.',
    resolve: (session, _args, context) => context.services.participants.of(viewerOf(context), session),
  }),
  viewerRole: t.field({
    type: ParticipantRole,
    description: 'What the viewer may do in it.',
    resolve: (session, _args, context) => context.services.sessions.roleOf(viewerOf(context), session),
  }),
}))

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const sessionId = (t: InputFields) =>
  t.id({ required: true, description: 'The session.' }).validate(idOf('Session'))
const role = (t: InputFields) =>
  t.field({ type: ParticipantRole, required: true, description: 'What it may do from now on.' })

const participationPayload = (name: string, description: string) =>
  builder.objectRef<Participation>(name).implement({
    description,
    fields: (t) => ({
      session: t.prismaField({
        type: 'Session',
        description: 'The session, with its participants as they are now.',
        resolve: (_query, { session }) => session as SessionRow,
      }),
      user: t.prismaField({
        type: 'User',
        description: 'Whom it is about.',
        resolve: (query, { userId }, _args, context) => {
          const { db, tenantId } = viewerOf(context)
          return db.prisma.user.findFirstOrThrow({ ...query, where: { tenantId, id: userId } })
        },
      }),
    }),
  })

builder.mutationField('addParticipant', (t) =>
  t.fieldWithInput({
    type: participationPayload('AddParticipantPayload', 'The user takes part in the session.'),
    description:
      'Shares a session, which its owners can. Adding somebody again with the same role changes nothing.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, LimitError] },
    typeOptions: { description: 'Who takes part in what.' },
    argOptions: { description: 'Who takes part in what.' },
    input: {
      sessionId: sessionId(t.input),
      userId: t.input
        .id({ description: 'A user that the viewer shares a session with already; for admins, any.' })
        .validate(idOf('User').nullish()),
      externalUserId: t.input.string({
        description: 'Or the `sub` of the tokens of any user of the tenant, who may not have signed in yet.',
      }),
      role: role(t.input),
    },
    resolve: (_root, { input }, context) => context.services.participants.add(viewerOf(context), input),
  }),
)

builder.mutationField('updateParticipant', (t) =>
  t.fieldWithInput({
    type: participationPayload('UpdateParticipantPayload', 'The participant has the role.'),
    description: 'Gives a participant another role, which owners can.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'Whose role, and which.' },
    argOptions: { description: 'Whose role, and which.' },
    input: {
      sessionId: sessionId(t.input),
      userId: t.input.id({ required: true, description: 'The participant.' }).validate(idOf('User')),
      role: role(t.input),
    },
    resolve: (_root, { input }, context) => context.services.participants.update(viewerOf(context), input),
  }),
)

const RemoveParticipantPayload = builder.objectRef<{ userId: string }>('RemoveParticipantPayload').implement({
  description: 'The user takes part in the session no more, and its live feeds of it end.',
  fields: (t) => ({
    user: t.prismaField({
      type: 'User',
      description: 'Who is out.',
      resolve: (query, { userId }, _args, context) => {
        const { db, tenantId } = viewerOf(context)
        return db.prisma.user.findFirstOrThrow({ ...query, where: { tenantId, id: userId } })
      },
    }),
  }),
})

builder.mutationField('removeParticipant', (t) =>
  t.fieldWithInput({
    type: RemoveParticipantPayload,
    description: 'Ends a participation: owners can do this to others, and everybody to itself.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'Who is out of what.' },
    argOptions: { description: 'Who is out of what.' },
    input: {
      sessionId: sessionId(t.input),
      userId: t.input.id({ required: true, description: 'The participant.' }).validate(idOf('User')),
    },
    resolve: (_root, { input }, context) => context.services.participants.remove(viewerOf(context), input),
  }),
)
