import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'

const RevokeTokensPayload = builder.objectRef<Date>('RevokeTokensPayload').implement({
  description: 'The tokens are refused from now on.',
  fields: (t) => ({
    revokedAt: t.field({
      type: 'DateTime',
      description: 'Of a user: tokens that were issued up to this time are refused.',
      resolve: (revokedAt) => revokedAt,
    }),
  }),
})

builder.mutationField('revokeTokens', (t) =>
  t.fieldWithInput({
    type: RevokeTokensPayload,
    authScopes: { admin: true },
    description:
      'Refuses tokens before they expire, for admins: all that a user has been given up to now, or one by its `jti`. ' +
      'Sockets and event streams that were opened with them end within 5 seconds, on every node. Tokens that are ' +
      'issued later, in the next second at the earliest, are good again.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'What to revoke; at least one of both.' },
    argOptions: { description: 'What to revoke.' },
    input: {
      userId: t.input.id({ description: 'The user whose tokens to refuse.' }).validate(idOf('User')),
      tokenId: t.input.string({ description: 'The `jti` of one token.' }),
    },
    resolve: (_root, { input }, context) => context.services.revocations.revoke(viewerOf(context), input),
  }),
)
