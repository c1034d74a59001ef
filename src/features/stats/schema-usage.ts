import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { encodeId, type IdType } from '../../lib/ids.ts'
import type { Bucket } from './buckets.ts'
import type { GroupBy } from './entries.ts'
import { maxBuckets, maxIntervals } from './service.ts'

const UsageInterval = builder.enumType('UsageInterval', {
  description: 'How long a bucket of usage is. All of them begin and end in UTC.',
  values: {
    HOUR: { description: 'An hour.' },
    DAY: { description: 'A day from midnight.' },
    MONTH: { description: 'A month from midnight of its first day.' },
  } as const,
})

const UsageGroup = builder.enumType('UsageGroup', {
  description: 'What usage is told apart by; `key` of a bucket then names it.',
  values: {
    NONE: { description: 'Nothing: one bucket for each interval, empty ones too.' },
    MODEL: { description: 'The model; messages that no model wrote have no key.' },
    AGENT: { description: 'The agent; what was without one has no key.' },
    SESSION: { description: 'The session, also when it is gone.' },
    USER: { description: 'For runs who asked for them, for messages the owner of their session.' },
  } as const,
})

const keyTypes: Partial<Record<GroupBy, IdType>> = { AGENT: 'Agent', SESSION: 'Session', USER: 'User' }

const UsageBucket = builder.objectRef<Bucket & { groupBy: GroupBy }>('UsageBucket').implement({
  description:
    'What was used in one interval. Runs count when they end, however they end, and stay counted when they are deleted; messages count when they are stored and as long as they are.',
  fields: (t) => ({
    start: t.expose('start', { type: 'DateTime', description: 'When the interval begins.' }),
    key: t.string({
      nullable: true,
      description: 'The model, or the id of the agent, session or user; null without a group.',
      resolve: ({ key, groupBy }) => {
        const type = keyTypes[groupBy]
        return key !== null && type ? encodeId(type, key) : key
      },
    }),
    sessions: t.exposeInt('sessions', { description: 'Sessions that messages or runs belong to.' }),
    messages: t.exposeInt('messages', { description: 'Messages of every kind.' }),
    runs: t.exposeInt('runs', { description: 'Runs that ended.' }),
    failures: t.exposeInt('failures', { description: 'Those that failed or were interrupted.' }),
    inputTokens: t.expose('inputTokens', {
      type: 'NonNegativeInt',
      description: 'Tokens sent to models.',
    }),
    outputTokens: t.expose('outputTokens', {
      type: 'NonNegativeInt',
      description: 'Tokens that models wrote.',
    }),
    cachedInputTokens: t.expose('cachedInputTokens', {
      type: 'NonNegativeInt',
      description: 'Those of the input that the providers had cached.',
    }),
    cost: t.expose('cost', {
      type: 'Decimal',
      description: 'US dollars; runs of models whose price is not known count as nothing.',
    }),
    timeToFirstTokenP50Ms: t.exposeInt('timeToFirstTokenP50Ms', {
      nullable: true,
      description:
        'Milliseconds within which half of the runs had their first word; null where none had any.',
    }),
    timeToFirstTokenP95Ms: t.exposeInt('timeToFirstTokenP95Ms', {
      nullable: true,
      description: 'Milliseconds within which 95 of 100 runs had their first word.',
    }),
  }),
})

const UsageFilter = builder.inputType('UsageFilter', {
  description: 'What usage to count; conditions add up.',
  fields: (t) => ({
    userId: t
      .id({ description: 'Of this user; another than the viewer is for admins and services only.' })
      .validate(idOf('User').nullish()),
    sessionId: t.id({ description: 'Of this session.' }).validate(idOf('Session').nullish()),
    agent: t.string({ description: 'Of this agent; its key or id.' }),
    model: t.string({ description: 'Of this model; only messages that it wrote.' }),
  }),
})

builder.queryField('usage', (t) =>
  t.field({
    type: [UsageBucket],
    complexity: { field: 50, multiplier: 10 },
    description: `What was used, in order of time: by the viewer, or for admins and services by the tenant. At most ${maxIntervals} intervals and ${maxBuckets} buckets; more is refused.`,
    args: {
      from: t.arg({
        type: 'DateTime',
        required: true,
        description: 'Counts what happened at or after this.',
      }),
      to: t.arg({ type: 'DateTime', required: true, description: 'Counts what happened before this.' }),
      interval: t.arg({
        type: UsageInterval,
        required: true,
        defaultValue: 'DAY',
        description: 'How long each bucket is.',
      }),
      groupBy: t.arg({
        type: UsageGroup,
        required: true,
        defaultValue: 'NONE',
        description: 'What to tell apart; with a group, empty buckets are left out.',
      }),
      filter: t.arg({ type: UsageFilter, description: 'What to count; everything by default.' }),
    },
    resolve: async (_root, args, context) => {
      const buckets = await context.services.stats.usage(viewerOf(context), args)
      return buckets.map((bucket) => ({ ...bucket, groupBy: args.groupBy }))
    },
  }),
)
