import { queryFromInfo } from '@pothos/plugin-prisma'
import type { FieldNode, GraphQLResolveInfo } from 'graphql'
import { visibleSessions } from '../../auth/policy.ts'
import type { Session as SessionRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { type Context, viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity, rowPaths } from '../../graphql/paging.ts'
import { fieldNamesAt, type Path, selectionsOf } from '../../graphql/selection.ts'
import { sameForAll } from '../../graphql/shared.ts'
import type { SessionListSelection } from './list.ts'
import { isOfRow } from './rows.ts'

const itself: readonly Path[] = [[]]
const ownAgent: readonly Path[] = [['agent']]

const TitleSource = builder.enumType('TitleSource', {
  description: 'Where the title of a session comes from.',
  values: {
    FIRST_MESSAGE: { description: 'The first words of the first user message.' },
    MODEL: { description: 'A model wrote it after the first reply.' },
    PERSON: { description: 'Somebody set it; it is never replaced.' },
  } as const,
})

const SessionUsage = builder.objectRef<SessionRow>('SessionUsage').implement({
  description: 'What the runs of a session have used; deleted messages do not lessen it.',
  fields: (t) => ({
    inputTokens: t.expose('inputTokens', { type: 'NonNegativeInt', description: 'Tokens sent to models.' }),
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
    runs: t.exposeInt('runCount', { description: 'Runs that have ended, in whatever way.' }),
  }),
})

export const Session = builder.prismaNode('Session', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    return { tenantId_id: { tenantId: viewer.tenantId, id }, deletedAt: null, ...visibleSessions(viewer) }
  },
  description: 'One conversation: its settings, its messages, and a live feed of all that happens in it.',
  fields: (t) => ({
    title: t.exposeString('title', {
      nullable: true,
      description: 'Title; null until it is set or made from the first message.',
    }),
    titleSource: t.expose('titleSource', {
      type: TitleSource,
      nullable: true,
      description: 'Where the title comes from.',
    }),
    user: t.relation('user', { description: 'The owner.' }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'Model id (`provider:name`); null for that of the agent, or the default.',
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      nullable: true,
      description: 'Replaces the system prompt of the agent.',
    }),
    parameters: t.expose('parameters', {
      type: 'JSON',
      description: 'Model parameters; they go over those of the agent.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Whatever the client keeps with it.' }),
    tags: t.exposeStringList('tags', { description: 'Labels.' }),
    isActive: t.exposeBoolean('isActive', {
      description:
        'The stored flag: sessions beyond the limit of active ones lose it, and it can be set by hand.',
    }),
    recentlyActive: t.boolean({
      description: 'Whether `lastMessageAt` lies within the last 24 hours.',
      resolve: ({ lastSeq, lastMessageAt }) =>
        lastSeq > 0 && lastMessageAt.getTime() > Date.now() - 86_400_000,
    }),
    lastMessageAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When the last message was stored in it or ended; null before the first. Of a fork, when it was made: what it ' +
        'copies keeps its own times. Of an import, the time of its latest message.',
      extensions: sameForAll,
      resolve: ({ lastSeq, lastMessageAt }) => (lastSeq > 0 ? lastMessageAt : null),
    }),
    messageCount: t.exposeInt('messageCount', { description: 'How many messages it holds.' }),
    usage: t.field({
      type: SessionUsage,
      description: 'What its replies have used so far.',
      extensions: sameForAll,
      resolve: (session) => session,
    }),
    key: t.exposeString('key', {
      nullable: true,
      description: 'What `getOrCreateSession` finds it by; unique among the sessions of its user.',
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was deleted; null for one that is not.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When anything of it last changed.' }),
  }),
})

export const SessionFilterInput = builder.inputType('SessionFilter', {
  description: 'Which sessions to list; conditions add up.',
  fields: (t) => ({
    userId: t.id({ description: 'Of this owner.' }).validate(idOf('User').nullish()),
    externalUserId: t.string({ description: 'Of the owner with this `sub` in its tokens.' }),
    participant: t
      .id({ description: 'That this user takes part in, as the owner or otherwise.' })
      .validate(idOf('User').nullish()),
    parentId: t
      .id({ description: 'That were forked from this session.' })
      .validate(idOf('Session').nullish()),
    agent: t.string({ description: 'Answered by this agent; its key or id.' }),
    isActive: t.boolean({ description: 'By the stored flag.' }),
    recentlyActive: t.boolean({
      description: 'With, or without, a `lastMessageAt` in the last 24 hours.',
    }),
    deleted: t.boolean({
      defaultValue: false,
      description: 'Lists the deleted ones instead, to their owners.',
    }),
    title: t.string({ description: 'Whose title contains this, in any case.' }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Whose metadata contains all of this, at any depth: `{"ticket": {"id": 7}}`.',
    }),
    tags: t.stringList({ description: 'That carry all of these tags.' }),
    model: t.string({ description: 'That name this model.' }),
    createdAfter: t.field({ type: 'DateTime', description: 'Made at or after this.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Made before this.' }),
    lastMessageAfter: t.field({ type: 'DateTime', description: 'With the last message at or after this.' }),
    lastMessageBefore: t.field({ type: 'DateTime', description: 'With the last message before this.' }),
  }),
})

const SessionOrderField = builder.enumType('SessionOrderField', {
  description: 'What sessions are ordered by.',
  values: {
    LAST_MESSAGE_AT: { description: 'The last message; for a session without any, its creation.' },
    UPDATED_AT: { description: 'The last change of any kind.' },
    CREATED_AT: { description: 'The creation.' },
    TITLE: { description: 'The title; sessions without one come last.' },
    MESSAGE_COUNT: { description: 'The number of messages.' },
  } as const,
})

const OrderDirection = builder.enumType('OrderDirection', {
  description: 'Which end of an order comes first.',
  values: {
    ASC: { description: 'Smallest, oldest or alphabetically first.' },
    DESC: { description: 'Largest, newest or alphabetically last.' },
  } as const,
})

const SessionOrder = builder.inputType('SessionOrder', {
  description: 'How to order sessions; those that are equal follow their creation.',
  fields: (t) => ({
    field: t.field({ type: SessionOrderField, required: true, description: 'What to order by.' }),
    direction: t.field({
      type: OrderDirection,
      required: true,
      defaultValue: 'DESC',
      description: 'Which end comes first.',
    }),
  }),
})

export const SessionConnection = connectionOf('Session', Session, 'session')

export const sessionPages = ({ services }: Context) => services.limits.sessionPages

const agentPaths = rowPaths.map((path) => [...path, 'agent'])

/** By the nodes of a field; kept where nothing of it depends on variables. */
const selections = new WeakMap<readonly FieldNode[], SessionListSelection>()

/** What is selected on the sessions at these paths under a field, in Prisma's form only where their rows alone will not do. */
function selectionAt(
  info: GraphQLResolveInfo,
  { sessions, agents }: Record<'sessions' | 'agents', readonly Path[]>,
  queryOf: () => object,
): SessionListSelection {
  const known = selections.get(info.fieldNodes)
  if (known) return known
  const fields = fieldNamesAt(info, sessions)
  const agentFields = fieldNamesAt(info, agents)
  const isCounted = fieldNamesAt(info, itself).has('totalCount')
  if (!isOfRow(fields)) return { query: queryOf(), fields, agentFields, isCounted }
  const selection = { query: {}, fields, agentFields, isCounted }
  selections.set(info.fieldNodes, selection)
  return selection
}

/** What is selected under a field that gives a `SessionConnection`. */
export const listSelection = (context: Context, info: GraphQLResolveInfo): SessionListSelection =>
  selectionAt(info, { sessions: rowPaths, agents: agentPaths }, () =>
    queryFromInfo({ context, info, typeName: 'Session', paths: rowPaths as Path[] }),
  )

builder.queryField('sessions', (t) =>
  t.field({
    type: SessionConnection,
    description:
      'The sessions of the viewer and those that it takes part in; for admins, those of the tenant.',
    complexity: pageComplexity(sessionPages),
    args: {
      ...pageArgs(t.arg, { default: '10 (CHAT_DEFAULT_PAGE_SIZE)', max: '100 (CHAT_MAX_PAGE_SIZE)' }),
      filter: t.arg({
        type: SessionFilterInput,
        description: 'Which ones; all that are not deleted by default.',
      }),
      orderBy: t.arg({
        type: SessionOrder,
        required: true,
        defaultValue: { field: 'LAST_MESSAGE_AT', direction: 'DESC' },
        description: 'In which order; the latest activity first by default.',
      }),
    },
    resolve: (_root, args, context, info) => {
      return context.services.sessions.page(viewerOf(context), args, listSelection(context, info))
    },
  }),
)

builder.queryField('session', (t) =>
  t.field({
    type: Session,
    nullable: true,
    description:
      'One session, or null where it does not exist or is not visible. Its `cursor` matches its `messages` exactly.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the session.' }).validate(idOf('Session')),
    },
    resolve: (_root, { id }, context, info) => {
      const viewer = viewerOf(context)
      const queryOf = () => queryFromInfo({ context, info, typeName: 'Session' })
      const selection = selectionAt(info, { sessions: itself, agents: ownAgent }, queryOf)
      if (!selection.fields.has('cursor')) return context.services.sessions.find(viewer, id, selection)
      const where = { tenantId: viewer.tenantId, id, deletedAt: null, ...visibleSessions(viewer) }
      return context.services.live.observe(
        viewer,
        id,
        (prisma) => prisma.session.findFirst({ ...selection.query, where }),
        selectionsOf(info, 'messages'),
      )
    },
  }),
)
