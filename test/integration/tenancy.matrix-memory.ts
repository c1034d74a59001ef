import { expect } from 'vitest'
import { alice } from './tenancy.harness.ts'
import type { Case } from './tenancy.matrix.ts'

const failed = (field: string, code = 'NOT_FOUND') => ({
  data: { [field]: expect.objectContaining({ code }) },
})
const refusedWith = (code: string) => ({
  errors: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })],
})
const mutation = (name: string, payload: string) =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`

/** Each mutation for a session and for a user. */
const ofBothScopes = (name: string, payload: string, more: object): [string, Case[]] => [
  `Mutation.${name}`,
  [
    {
      operation: mutation(name, payload),
      variables: (ids) => ({ input: { scope: 'SESSION', sessionId: ids.Session, ...more } }),
      refused: failed(name),
    },
    {
      operation: mutation(name, payload),
      variables: (ids) => ({ input: { scope: 'USER', userId: ids.User, ...more } }),
      refused: failed(name),
      exceptFor: { role: 'USER', refused: failed(name, 'FORBIDDEN') },
    },
  ],
]

/** The part of the matrix for what is remembered. */
export const memory: Record<string, Case[]> = {
  'Query.memories': [
    {
      operation: `query ($id: ID!) { memories(scope: SESSION, sessionId: $id) { totalCount nodes { key value } } }`,
      variables: (ids) => ({ id: ids.Session }),
      refused: refusedWith('NOT_FOUND'),
    },
    {
      operation: `query ($id: ID!) { memories(userId: $id) { totalCount nodes { key value } } }`,
      variables: (ids) => ({ id: ids.User }),
      refused: refusedWith('NOT_FOUND'),
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
    {
      operation: `query ($name: String!) { memories(externalUserId: $name) { totalCount nodes { key value } } }`,
      variables: () => ({ name: alice.user }),
      isForAdmins: true,
      refused: refusedWith('NOT_FOUND'),
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
  ...Object.fromEntries([
    ofBothScopes('saveMemory', '... on SaveMemoryPayload { memory { key value } }', {
      key: 'stolen',
      value: 1,
    }),
    ofBothScopes('saveMemories', '... on SaveMemoriesPayload { memories { key value } }', {
      memories: [{ key: 'stolen', value: 1 }],
    }),
    ofBothScopes('deleteMemory', '... on DeleteMemoryPayload { key }', { key: 'note' }),
    ofBothScopes('clearMemories', '... on ClearMemoriesPayload { count }', {}),
  ]),
}
