import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const forbidden = { errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })] }
const revoked = (code: string) => ({ data: { revokeTokens: expect.objectContaining({ code }) } })

/** The part of the matrix for what admins do about tokens, and for what is told of admins. */
export const auditAndTokens: Record<string, Case[]> = {
  'Query.auditLog': [
    {
      operation: '{ auditLog { totalCount nodes { action target actor { externalId } } } }',
      refused: { data: expect.anything() },
      exceptFor: { role: 'USER', refused: forbidden },
    },
    {
      operation: `query ($filter: AuditFilter) { auditLog(filter: $filter) {
        totalCount nodes { action target actor { externalId } } } }`,
      variables: (ids) => ({ filter: { actorId: ids.User } }),
      refused: { data: { auditLog: { totalCount: 0, nodes: [] } } },
      exceptFor: { role: 'USER', refused: forbidden },
    },
  ],
  'Mutation.revokeTokens': [
    {
      operation: `mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) {
        ... on RevokeTokensPayload { revokedAt } ... on Error { code message } } }`,
      variables: (ids) => ({ input: { userId: ids.User } }),
      refused: revoked('NOT_FOUND'),
      exceptFor: { role: 'USER', refused: revoked('FORBIDDEN') },
    },
  ],
}
