import type { Memory as MemoryRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, LimitError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { Memory, MemoryScope } from './schema.ts'

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const place = (t: InputFields) => ({
  scope: t.field({ type: MemoryScope, required: true, description: 'Of a user or of a session.' }),
  sessionId: t
    .id({ description: 'The session, with the scope SESSION; it takes an editor.' })
    .validate(idOf('Session').nullish()),
  userId: t
    .id({ description: 'The user, where an admin or a service token acts for somebody else.' })
    .validate(idOf('User').nullish()),
  externalUserId: t.string({
    description: 'The same by the `sub` of the tokens of the user, who may not have signed in yet.',
  }),
})

const memory = (t: InputFields) => ({
  key: t.string({ required: true, description: 'Its key, 1 to 255 characters.' }),
  value: t.field({
    type: 'JSON',
    required: true,
    description: 'Any JSON but null; at most 64 KiB (MEMORY_VALUE_MAX_BYTES).',
  }),
  expiresAt: t.field({ type: 'DateTime', description: 'When it goes by itself; never by default.' }),
})

const MemoryInput = builder.inputType('MemoryInput', { description: 'A memory to save.', fields: memory })

const failures = { types: [ValidationError, NotFoundError, ForbiddenError] }
const savingFailures = { types: [...failures.types, LimitError] }

const SaveMemoryPayload = builder.objectRef<MemoryRow>('SaveMemoryPayload').implement({
  description: 'It is remembered.',
  fields: (t) => ({
    memory: t.field({ type: Memory, description: 'As it is now.', resolve: (saved) => saved }),
  }),
})

builder.mutationField('saveMemory', (t) =>
  t.fieldWithInput({
    type: SaveMemoryPayload,
    description: 'Remembers a value under a key; what was under it before is replaced.',
    errors: savingFailures,
    typeOptions: { description: 'What to remember, and where.' },
    argOptions: { description: 'What to remember, and where.' },
    input: { ...place(t.input), ...memory(t.input) },
    resolve: (_root, { input }, context) => context.services.memories.save(viewerOf(context), input),
  }),
)

const SaveMemoriesPayload = builder.objectRef<MemoryRow[]>('SaveMemoriesPayload').implement({
  description: 'They are remembered.',
  fields: (t) => ({
    memories: t.field({
      type: [Memory],
      description: 'As they are now, in the order of the input.',
      resolve: (saved) => saved,
    }),
  }),
})

builder.mutationField('saveMemories', (t) =>
  t.fieldWithInput({
    type: SaveMemoriesPayload,
    description: 'Remembers several values of one scope, all or none.',
    errors: savingFailures,
    typeOptions: { description: 'What to remember, and where.' },
    argOptions: { description: 'What to remember, and where.' },
    input: {
      ...place(t.input),
      memories: t.input.field({
        type: [MemoryInput],
        required: true,
        description: '1 to 100 memories under different keys.',
      }),
    },
    resolve: (_root, { input }, context) => context.services.memories.saveAll(viewerOf(context), input),
  }),
)

const DeleteMemoryPayload = builder.objectRef<{ key: string }>('DeleteMemoryPayload').implement({
  description: 'It is forgotten.',
  fields: (t) => ({ key: t.exposeString('key', { description: 'Its key.' }) }),
})

builder.mutationField('deleteMemory', (t) =>
  t.fieldWithInput({
    type: DeleteMemoryPayload,
    description: 'Forgets what is under a key.',
    errors: failures,
    typeOptions: { description: 'What to forget.' },
    argOptions: { description: 'What to forget.' },
    input: { ...place(t.input), key: t.input.string({ required: true, description: 'Its key.' }) },
    resolve: (_root, { input }, context) => context.services.memories.remove(viewerOf(context), input),
  }),
)

const ClearMemoriesPayload = builder.objectRef<{ count: number }>('ClearMemoriesPayload').implement({
  description: 'They are forgotten.',
  fields: (t) => ({ count: t.exposeInt('count', { description: 'How many there were.' }) }),
})

builder.mutationField('clearMemories', (t) =>
  t.fieldWithInput({
    type: ClearMemoriesPayload,
    description: 'Forgets all of a user or of a session, or those whose keys begin alike.',
    errors: failures,
    typeOptions: { description: 'What to forget.' },
    argOptions: { description: 'What to forget.' },
    input: {
      ...place(t.input),
      prefix: t.input.string({ description: 'Only those whose keys begin with this.' }),
    },
    resolve: (_root, { input }, context) => context.services.memories.clear(viewerOf(context), input),
  }),
)
