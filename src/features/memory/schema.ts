import { visibleMemories } from '../../auth/policy.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { memoryPageSizes } from './page.ts'

export const MemoryScope = builder.enumType('MemoryScope', {
  description: 'What a memory belongs to.',
  values: {
    USER: { description: 'A user, across all of its sessions.' },
    SESSION: { description: 'One session, and all who take part in it.' },
  } as const,
})

const MemorySource = builder.enumType('MemorySource', {
  description: 'Who wrote a memory.',
  values: {
    CLIENT: { description: 'A client of the API.' },
    MODEL: { description: 'The model, by a tool that its agent allows.' },
  } as const,
})

export const Memory = builder.prismaNode('Memory', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    const alive = { OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] }
    return { tenantId_id: { tenantId: viewer.tenantId, id }, AND: [visibleMemories(viewer), alive] }
  },
  description: 'A value under a key that outlives the turn it came from. What has expired is gone at once.',
  fields: (t) => ({
    scope: t.field({
      type: MemoryScope,
      description: 'What it belongs to.',
      extensions: sameForAll,
      resolve: ({ sessionId }) => (sessionId === null ? 'USER' : 'SESSION'),
    }),
    key: t.exposeString('key', { description: 'Its key, unique in its scope.' }),
    value: t.expose('value', { type: 'JSON', description: 'What is remembered.' }),
    source: t.expose('source', { type: MemorySource, description: 'Who wrote it last.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it goes by itself; null for never.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the key was saved first.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was saved last.' }),
  }),
})

const MemoryConnection = connectionOf('Memory', Memory, 'memory')

type Arguments = Parameters<Parameters<typeof builder.queryField>[1]>[0]['arg']

const filterArgs = (arg: Arguments) => ({
  keys: arg.stringList({ description: 'Those under these keys; at most 100.' }),
  prefix: arg.string({ description: 'Those whose keys begin with this.' }),
})

builder.queryField('memories', (t) =>
  t.field({
    type: MemoryConnection,
    description: 'The memories of a user, by default the viewer, or of a session; by key.',
    complexity: pageComplexity(memoryPageSizes),
    args: {
      scope: t.arg({
        type: MemoryScope,
        required: true,
        defaultValue: 'USER',
        description: 'Those of a user or of a session.',
      }),
      sessionId: t.arg
        .id({ description: 'The session, with the scope SESSION.' })
        .validate(idOf('Session').nullish()),
      userId: t.arg
        .id({ description: 'The user, where an admin or a service token acts for somebody else.' })
        .validate(idOf('User').nullish()),
      externalUserId: t.arg.string({ description: 'The same by the `sub` of its tokens.' }),
      ...filterArgs(t.arg),
      ...pageArgs(t.arg, memoryPageSizes),
    },
    resolve: (_root, { first, after, last, before, offset, ...input }, context) => {
      const page = { first, after, last, before, offset }
      return context.services.memories.page(viewerOf(context), input, page)
    },
  }),
)

builder.prismaObjectFields('Session', (t) => ({
  memories: t.field({
    type: MemoryConnection,
    description: 'What is remembered in this session; by key. A fork begins without any.',
    complexity: pageComplexity(memoryPageSizes),
    args: { ...filterArgs(t.arg), ...pageArgs(t.arg, memoryPageSizes) },
    resolve: ({ id }, { keys, prefix, ...page }, context) =>
      context.services.memories.pageOfSession(viewerOf(context), id, { keys, prefix }, page),
  }),
}))
