import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const failed = (field: string, code = 'NOT_FOUND') => ({
  data: { [field]: expect.objectContaining({ code }) },
})
const mutation = (name: string, payload = '') =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`
const document = '{ document { title metadata user { externalId } } }'
const page = 'totalCount nodes { title metadata user { externalId } }'
const hits = '{ document { title } passage { text heading } }'

/** The part of the matrix for documents. */
export const documents: Record<string, Case[]> = {
  'Query.document': [
    {
      operation: 'query ($id: ID!) { document(id: $id) { title metadata error user { externalId } } }',
      variables: (ids) => ({ id: ids.Document }),
      refused: { data: { document: null } },
    },
  ],
  'Subscription.documentChanged': [
    {
      operation: 'subscription ($id: ID!) { documentChanged(id: $id) { title metadata error } }',
      variables: (ids) => ({ id: ids.Document }),
      refused: {
        errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: 'NOT_FOUND' }) })],
      },
    },
  ],
  'Query.documents': [
    { operation: `{ documents { ${page} } }`, refused: { data: expect.anything() } },
    {
      operation: `query ($filter: DocumentFilter) { documents(filter: $filter) { ${page} } }`,
      variables: (ids) => ({ filter: { sessionId: ids.Session } }),
      refused: { data: { documents: { totalCount: 0, nodes: [] } } },
    },
  ],
  'Query.retrieve': [
    { operation: `{ retrieve(query: "passage") ${hits} }`, refused: { data: { retrieve: [] } } },
    {
      operation: `query ($documentIds: [ID!]) { retrieve(query: "passage", documentIds: $documentIds) ${hits} }`,
      variables: (ids) => ({ documentIds: [ids.Document] }),
      refused: { data: { retrieve: [] } },
    },
    {
      operation: `query ($sessionIds: [ID!]) { retrieve(query: "passage", sessionIds: $sessionIds) ${hits} }`,
      variables: (ids) => ({ sessionIds: [ids.Session] }),
      refused: { data: { retrieve: [] } },
    },
  ],
  'Mutation.createDocument': [
    {
      operation: mutation('createDocument', `... on CreateDocumentPayload ${document}`),
      variables: () => ({ input: { title: ' ', text: 'None' } }),
      refused: failed('createDocument', 'BAD_USER_INPUT'),
    },
  ],
  'Mutation.updateDocument': [
    {
      operation: mutation('updateDocument', `... on UpdateDocumentPayload ${document}`),
      variables: (ids) => ({ input: { documentId: ids.Document, title: 'Mine now', text: 'Mine' } }),
      refused: failed('updateDocument'),
    },
  ],
  'Mutation.deleteDocument': [
    {
      operation: mutation('deleteDocument'),
      variables: (ids) => ({ input: { documentId: ids.Document } }),
      refused: failed('deleteDocument'),
    },
  ],
}

/** Fields of other parts that take ids of documents. */
export const withDocuments = {
  createSession: {
    operation: mutation('createSession', '... on CreateSessionPayload { session { documents { title } } }'),
    variables: (ids) => ({ input: { documentIds: [ids.Document] } }),
    refused: failed('createSession'),
  },
  updateSession: {
    operation: mutation('updateSession', '... on UpdateSessionPayload { session { documents { title } } }'),
    variables: (ids, ownSession) => ({ input: { sessionId: ownSession, documentIds: [ids.Document] } }),
    refused: failed('updateSession'),
  },
  sendMessage: {
    operation: mutation('sendMessage', '... on SendMessagePayload { assistantMessage { content } }'),
    variables: (ids, ownSession) => ({
      input: { sessionId: ownSession, content: 'passage', documentIds: [ids.Document] },
    }),
    refused: failed('sendMessage'),
  },
} satisfies Record<string, Case>
