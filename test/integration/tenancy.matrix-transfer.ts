import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const failed = (field: string, code = 'NOT_FOUND') => ({
  data: { [field]: expect.objectContaining({ code }) },
})
const mutation = (name: string, payload: string) =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`
const emptyDocument = '{"format":"parley/1","session":{},"messages":[]}'

/** The part of the matrix for what goes out and comes in. */
export const transfer: Record<string, Case[]> = {
  'Mutation.exportSession': [
    {
      operation: mutation('exportSession', '... on ExportSessionPayload { url filename }'),
      variables: (ids) => ({ input: { sessionId: ids.Session } }),
      refused: failed('exportSession'),
    },
  ],
  'Mutation.importSession': [
    {
      operation: mutation('importSession', '... on ImportSessionPayload { session { agent { name } } }'),
      variables: (ids) => ({ input: { content: emptyDocument, agent: ids.Agent } }),
      refused: failed('importSession'),
      isSharedInTenant: true,
    },
    {
      operation: mutation('importSession', '... on ImportSessionPayload { session { user { externalId } } }'),
      variables: (ids) => ({ input: { content: emptyDocument, userId: ids.User } }),
      refused: failed('importSession'),
      exceptFor: { role: 'USER', refused: failed('importSession', 'FORBIDDEN') },
    },
  ],
}
