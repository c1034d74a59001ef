import { expect } from 'vitest'
import type { Identity } from '../support/app.ts'
import { alice } from './tenancy.harness.ts'
import { acted } from './tenancy.matrix-acting.ts'
import { auditAndTokens } from './tenancy.matrix-audit.ts'
import { documents, withDocuments } from './tenancy.matrix-documents.ts'
import { memory } from './tenancy.matrix-memory.ts'
import { messagesAndFeeds } from './tenancy.matrix-messages.ts'
import { modelsAndSystem } from './tenancy.matrix-models.ts'
import { runsAndTools } from './tenancy.matrix-runs.ts'
import { makingAndSharing } from './tenancy.matrix-sharing.ts'
import { transfer } from './tenancy.matrix-transfer.ts'
import { searchAndUsage } from './tenancy.matrix-usage.ts'

/** Every type that has a global id. */
export const ofEachType = [
  'Tenant',
  'User',
  'Agent',
  'Session',
  'Message',
  'Run',
  'Template',
  'Memory',
  'Document',
] as const

export type Ids = Record<(typeof ofEachType)[number], string>

export type Case = {
  operation: string
  /** `ids` are somebody else's, `ownSession` is the caller's. */
  variables?: (ids: Ids, ownSession: string) => Record<string, unknown>
  /** What somebody gets who may not see what the ids name. */
  refused: unknown
  /** Not even the owner may ask in this way. */
  isForAdmins?: boolean
  /** What the ids name is open to everybody of the tenant. */
  isSharedInTenant?: boolean
  /** Callers for whom it is refused otherwise. */
  exceptFor?: { role: Identity['role']; refused: unknown }
}

/** Lists what the caller may see; the search for canaries tells whether that is all. */
const ownOnly = { data: expect.anything() }
const isNull = (field: string) => ({ data: { [field]: null } })
const failed = (field: string, code = 'NOT_FOUND') => ({
  data: { [field]: expect.objectContaining({ code }) },
})
const forbidden = { errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })] }

/** Everything that an object of each type tells, for whoever may see it. */
const everything = `__typename id
  ... on Tenant { slug name } ... on User { externalId email quota { usedTokens } } ... on Agent { key systemPrompt }
  ... on Session { title prompt: systemPrompt metadata tags cursor documents { title } present { externalId } typing { externalId } messages { totalCount nodes { content } } user { externalId } }
  ... on Message { text: content citations { document { title } passage { text } } metadata session { title } author { externalId } }
  ... on Document { name: title metadata user { externalId } }
  ... on Template { name systemPrompt openingMessages { content } }
  ... on Memory { key value }
  ... on Run { error { message } userMessage { content } assistantMessage { content } session { title } }`
const mutation = (name: string, payload: string) =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`
const page = 'totalCount nodes { id title messages { nodes { content } } }'
const emptyPage = { data: { sessions: { totalCount: 0, nodes: [] } } }

/** How each field of the three roots treats the ids of somebody else. */
export const matrix: Record<string, Case[]> = {
  ...auditAndTokens,
  ...documents,
  ...makingAndSharing,
  ...messagesAndFeeds,
  ...searchAndUsage,
  ...memory,
  ...modelsAndSystem,
  ...transfer,
  ...runsAndTools,
  'Query.viewer': [
    {
      operation:
        '{ viewer { role quota { usedTokens } user { externalId } tenant { slug quota { tokens } } } }',
      refused: ownOnly,
    },
  ],
  'Query.agents': [{ operation: `{ agents { id key name systemPrompt } }`, refused: ownOnly }],
  'Query.agent': [
    {
      operation: 'query ($id: ID) { agent(id: $id) { key systemPrompt tools { name } } }',
      variables: (ids) => ({ id: ids.Agent }),
      refused: isNull('agent'),
      isSharedInTenant: true,
    },
  ],
  'Query.users': [
    {
      operation: '{ users { totalCount nodes { externalId name email } } }',
      refused: ownOnly,
      exceptFor: { role: 'USER', refused: forbidden },
    },
  ],
  'Query.node': ofEachType.map((type) => ({
    operation: `query ($id: ID!) { node(id: $id) { ${everything} } }`,
    variables: (ids) => ({ id: ids[type] }),
    refused: isNull('node'),
    isSharedInTenant: ['Tenant', 'Agent', 'Template'].includes(type),
  })),
  'Query.nodes': [
    {
      operation: `query ($ids: [ID!]!) { nodes(ids: $ids) { ${everything} } }`,
      variables: (ids) => ({ ids: [ids.Session, ids.Message, ids.Run, ids.User, ids.Memory, ids.Document] }),
      refused: { data: { nodes: [null, null, null, null, null, null] } },
    },
    {
      operation: `query ($ids: [ID!]!) { nodes(ids: $ids) { ${everything} } }`,
      variables: (ids) => ({ ids: [ids.Tenant, ids.Agent, ids.Template] }),
      refused: { data: { nodes: [null, null, null] } },
      isSharedInTenant: true,
    },
  ],
  'Query.session': [
    {
      operation: `query ($id: ID!) { session(id: $id) { title metadata cursor messages { nodes { content } } } }`,
      variables: (ids) => ({ id: ids.Session }),
      refused: isNull('session'),
    },
    {
      operation: 'query ($id: ID!) { session(id: $id) { title } }',
      variables: (ids) => ({ id: ids.Session }),
      refused: isNull('session'),
    },
    {
      operation: `query ($own: ID!, $id: ID!) {
        session(id: $own) { messages(author: $id) { totalCount nodes { content } } } }`,
      variables: (ids, own) => ({ own, id: ids.User }),
      refused: { data: { session: { messages: { totalCount: 0, nodes: [] } } } },
    },
    {
      operation: `query ($own: ID!, $ids: [ID!]) {
        session(id: $own) { title contextPreview(documentIds: $ids) { totalTokens } } }`,
      variables: (ids, own) => ({ own, ids: [ids.Document] }),
      refused: { errors: [expect.objectContaining({ extensions: { code: 'NOT_FOUND' } })] },
    },
  ],
  'Query.message': [
    {
      operation: 'query ($id: ID!) { message(id: $id) { content session { title } } }',
      variables: (ids) => ({ id: ids.Message }),
      refused: isNull('message'),
    },
  ],
  'Query.run': [
    {
      operation: 'query ($id: ID!) { run(id: $id) { model session { title } } }',
      variables: (ids) => ({ id: ids.Run }),
      refused: isNull('run'),
    },
  ],
  'Query.sessions': [
    { operation: `{ sessions { ${page} } }`, refused: ownOnly },
    {
      operation: `query ($filter: SessionFilter) { sessions(filter: $filter) { ${page} } }`,
      variables: (ids) => ({ filter: { userId: ids.User } }),
      refused: emptyPage,
    },
    {
      operation: `query ($filter: SessionFilter) { sessions(filter: $filter) { ${page} } }`,
      variables: () => ({ filter: { externalUserId: alice.user } }),
      refused: emptyPage,
    },
    {
      operation: `query ($filter: SessionFilter) { sessions(filter: $filter) { ${page} } }`,
      variables: (ids) => ({ filter: { participant: ids.User } }),
      refused: emptyPage,
    },
    {
      operation: `query ($filter: SessionFilter) { sessions(filter: $filter) { ${page} } }`,
      variables: (ids) => ({ filter: { parentId: ids.Session } }),
      refused: emptyPage,
    },
    {
      operation: `query ($filter: SessionFilter) { sessions(filter: $filter) { ${page} } }`,
      variables: (ids) => ({ filter: { agent: ids.Agent } }),
      refused: emptyPage,
    },
  ],
  'Mutation.createSession': [
    withDocuments.createSession,
    {
      operation: mutation('createSession', '... on CreateSessionPayload { session { template { name } } }'),
      variables: (ids) => ({ input: { template: ids.Template } }),
      refused: failed('createSession'),
      isSharedInTenant: true,
    },
    {
      operation: mutation('createSession', '... on CreateSessionPayload { session { agent { name } } }'),
      variables: (ids) => ({ input: { agent: ids.Agent } }),
      refused: failed('createSession'),
      isSharedInTenant: true,
    },
    {
      operation: mutation('createSession', '... on CreateSessionPayload { session { user { externalId } } }'),
      variables: (ids) => ({ input: { userId: ids.User } }),
      refused: failed('createSession'),
      exceptFor: { role: 'USER', refused: failed('createSession', 'FORBIDDEN') },
    },
  ],
  'Mutation.createAgent': [
    {
      operation: mutation('createAgent', '... on CreateAgentPayload { agent { key } }'),
      variables: () => ({ input: { key: 'Not a key', name: 'None' } }),
      refused: failed('createAgent', 'BAD_USER_INPUT'),
      exceptFor: { role: 'USER', refused: failed('createAgent', 'FORBIDDEN') },
    },
  ],
  'Mutation.updateAgent': [
    {
      operation: mutation('updateAgent', '... on UpdateAgentPayload { agent { key systemPrompt } }'),
      variables: (ids) => ({ input: { agentId: ids.Agent, name: 'Mine now' } }),
      refused: failed('updateAgent'),
      exceptFor: { role: 'USER', refused: failed('updateAgent', 'FORBIDDEN') },
    },
  ],
  'Mutation.eraseUser': [
    {
      operation: mutation('eraseUser', '... on EraseUserPayload { sessions messages }'),
      variables: (ids) => ({ input: { userId: ids.User } }),
      refused: failed('eraseUser'),
      exceptFor: { role: 'USER', refused: failed('eraseUser', 'FORBIDDEN') },
    },
  ],
  'Mutation.updateSession': [
    withDocuments.updateSession,
    {
      operation: mutation('updateSession', '... on UpdateSessionPayload { session { title } }'),
      variables: (ids) => ({ input: { sessionId: ids.Session, title: 'Mine now', metadata: {} } }),
      refused: failed('updateSession'),
    },
    {
      operation: mutation('updateSession', '... on UpdateSessionPayload { session { agent { name } } }'),
      variables: (ids, ownSession) => ({ input: { sessionId: ownSession, agent: ids.Agent } }),
      refused: failed('updateSession'),
      isSharedInTenant: true,
    },
  ],
  'Mutation.deleteSession': [
    {
      operation: mutation('deleteSession', ''),
      variables: (ids) => ({ input: { sessionId: ids.Session } }),
      refused: failed('deleteSession'),
    },
  ],
}
for (const [name, each] of Object.entries(acted)) matrix[name]?.push(each)
