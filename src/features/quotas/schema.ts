import { actsForTenant } from '../../auth/policy.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { ErrorInterface } from '../../graphql/errors.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, QuotaError, ValidationError } from '../../lib/errors.ts'
import type { Quota as QuotaRow } from './service.ts'

const QuotaScope = builder.enumType('QuotaScope', {
  description: 'Whose use a quota limits.',
  values: {
    TENANT: { description: 'All users of the tenant together.' },
    EACH_USER: { description: 'Each user by itself that has no quota of its own for the period.' },
    USER: { description: 'One user.' },
  } as const,
})

const QuotaPeriod = builder.enumType('QuotaPeriod', {
  description: 'How long a quota lasts until it begins anew. Both begin and end in UTC.',
  values: {
    DAY: { description: 'A day from midnight.' },
    MONTH: { description: 'A month from midnight of its first day.' },
  } as const,
})

const QuotaUnit = builder.enumType('QuotaUnit', {
  description: 'What a quota counts.',
  values: {
    TOKENS: { description: 'Tokens, input and output together.' },
    COST: { description: 'US dollars; what has no known price costs nothing.' },
  } as const,
})

const Quota = builder.objectRef<QuotaRow>('Quota').implement({
  description:
    'How much may be used in a day or a month, and how much is used. Once it is used up, sends are refused with a ' +
    'QuotaError, and what waits in line fails with LIMIT_EXCEEDED.',
  fields: (t) => ({
    scope: t.expose('scope', { type: QuotaScope, description: 'Whose use it limits.' }),
    period: t.expose('period', { type: QuotaPeriod, description: 'How long it lasts.' }),
    tokens: t.expose('tokens', {
      type: 'NonNegativeInt',
      nullable: true,
      description: 'The most tokens, input and output together; null where they are not limited.',
    }),
    cost: t.expose('cost', {
      type: 'Decimal',
      nullable: true,
      description: 'The most US dollars; null where they are not limited.',
    }),
    usedTokens: t.expose('usedTokens', {
      type: 'NonNegativeInt',
      nullable: true,
      description: 'The tokens used in this period; null for the quota of each user where no user is meant.',
    }),
    usedCost: t.expose('usedCost', {
      type: 'Decimal',
      nullable: true,
      description: 'The US dollars used in this period; null as for the tokens.',
    }),
    resetAt: t.expose('resetAt', { type: 'DateTime', description: 'When the next period begins.' }),
  }),
})

builder.objectType(QuotaError, {
  name: 'QuotaError',
  description: 'A quota of the viewer or its tenant is used up.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    scope: t.field({
      type: QuotaScope,
      description: 'Whose use it limits.',
      resolve: ({ excess }) => excess.scope,
    }),
    period: t.field({
      type: QuotaPeriod,
      description: 'How long it lasts.',
      resolve: ({ excess }) => excess.period,
    }),
    unit: t.field({ type: QuotaUnit, description: 'What is used up.', resolve: ({ excess }) => excess.unit }),
    limit: t.field({
      type: 'Decimal',
      description: 'The most that may be used, in this unit.',
      resolve: ({ excess }) => excess.limit,
    }),
    used: t.field({
      type: 'Decimal',
      description:
        'What is used, in this unit; more than the limit where replies were under way when it was reached.',
      resolve: ({ excess }) => excess.used,
    }),
    resetAt: t.field({
      type: 'DateTime',
      description: 'When the next period begins, and sends are taken again.',
      resolve: ({ excess }) => excess.resetAt,
    }),
  }),
})

builder.objectField('Viewer', 'quota', (t) =>
  t.field({
    type: [Quota],
    description:
      'The quotas that hold for the viewer: its own or those of each user, and those of the tenant.',
    resolve: ({ db, userId }, _args, context) => context.services.quotas.ofUser(db, userId),
  }),
)

builder.prismaObjectFields('User', (t) => ({
  quota: t.field({
    type: [Quota],
    nullable: true,
    description:
      'The quotas that hold for the user, as in `Viewer.quota`; null where it is not the viewer, but for admins.',
    resolve: ({ id }, _args, context) => {
      const viewer = viewerOf(context)
      if (id !== viewer.userId && !actsForTenant(viewer)) return null
      return context.services.quotas.ofUser(viewer.db, id)
    },
  }),
}))

builder.prismaObjectFields('Tenant', (t) => ({
  quota: t.field({
    type: [Quota],
    nullable: true,
    description:
      'The quotas of the tenant as a whole, and those that it sets for each user; null but for admins.',
    resolve: (_tenant, _args, context) => {
      const viewer = viewerOf(context)
      return actsForTenant(viewer) ? context.services.quotas.ofTenant(viewer) : null
    },
  }),
}))

const SetQuotaPayload = builder.objectRef<{ quota: QuotaRow | null }>('SetQuotaPayload').implement({
  description: 'The quota is set, or gone.',
  fields: (t) => ({
    quota: t.field({
      type: Quota,
      nullable: true,
      description: 'As it is now; null where it was taken away.',
      resolve: ({ quota }) => quota,
    }),
  }),
})

builder.mutationField('setQuota', (t) =>
  t.fieldWithInput({
    type: SetQuotaPayload,
    authScopes: { admin: true },
    description:
      'Sets how much may be used in a day or a month, for admins, in place of what was set for the same period; without ' +
      'tokens and cost it takes that away. What is used already counts at once.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'What to limit.' },
    argOptions: { description: 'What to limit.' },
    input: {
      scope: t.input.field({ type: QuotaScope, required: true, description: 'Whose use to limit.' }),
      userId: t.input.id({ description: 'The user, with the scope USER.' }).validate(idOf('User').nullish()),
      period: t.input.field({ type: QuotaPeriod, required: true, description: 'How long it lasts.' }),
      tokens: t.input.field({
        type: 'NonNegativeInt',
        description:
          'The most tokens, input and output together; 0 refuses every send. Not limited where left out.',
      }),
      cost: t.input.field({
        type: 'Decimal',
        description:
          'The most US dollars, such as "12.50", with at most nine places. Not limited where left out.',
      }),
    },
    resolve: async (_root, { input }, context) => ({
      quota: await context.services.quotas.set(viewerOf(context), input),
    }),
  }),
)
