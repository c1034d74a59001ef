import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const refusedWith = (code: string) => ({
  errors: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })],
})
const searchFor = `query ($filter: SearchFilter) { search(query: "title or question or answer", filter: $filter) {
  totalCount nodes { snippet { text } message { content } session { title } } } }`
const emptySearch = { data: { search: { totalCount: 0, nodes: [] } } }
const usage = `query ($filter: UsageFilter) {
  usage(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", interval: MONTH, groupBy: MODEL, filter: $filter) {
    key messages runs } }`
const noUsage = { data: { usage: [] } }

/** The part of the matrix for what is found and counted. */
export const searchAndUsage: Record<string, Case[]> = {
  'Mutation.setQuota': [
    {
      operation: `mutation ($input: SetQuotaInput!) { setQuota(input: $input) {
        __typename ... on Error { code message } ... on SetQuotaPayload { quota { usedTokens } } } }`,
      variables: (ids) => ({ input: { scope: 'USER', userId: ids.User, period: 'DAY', tokens: 1 } }),
      refused: { data: { setQuota: expect.objectContaining({ code: 'NOT_FOUND' }) } },
      exceptFor: {
        role: 'USER',
        refused: { data: { setQuota: expect.objectContaining({ code: 'FORBIDDEN' }) } },
      },
    },
  ],
  'Query.search': [
    {
      operation: '{ search(query: "title or question or answer") { totalCount nodes { snippet { text } } } }',
      refused: emptySearch,
    },
    {
      operation: searchFor,
      variables: (ids) => ({ filter: { sessionIds: [ids.Session] } }),
      refused: emptySearch,
    },
    { operation: searchFor, variables: (ids) => ({ filter: { userId: ids.User } }), refused: emptySearch },
    {
      operation: searchFor,
      variables: (ids) => ({ filter: { agent: ids.Agent } }),
      refused: emptySearch,
      isSharedInTenant: true,
    },
  ],
  'Query.userStats': [
    {
      operation: `query ($userId: ID) { userStats(userId: $userId) {
        totalSessions tokens mostRecentSession { title } sessionsByAgent { agent { systemPrompt } count } } }`,
      variables: (ids) => ({ userId: ids.User }),
      refused: refusedWith('NOT_FOUND'),
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
  'Query.usage': [
    { operation: usage, refused: { data: { usage: expect.any(Array) } } },
    {
      operation: usage,
      variables: (ids) => ({ filter: { userId: ids.User } }),
      refused: noUsage,
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
    {
      operation: usage,
      variables: (ids) => ({ filter: { sessionId: ids.Session } }),
      refused: noUsage,
    },
    {
      operation: usage,
      variables: (ids) => ({ filter: { agent: ids.Agent } }),
      refused: noUsage,
      isSharedInTenant: true,
    },
  ],
}
