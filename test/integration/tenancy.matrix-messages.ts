import { expect } from 'vitest'
import { alice } from './tenancy.harness.ts'
import type { Case, Ids } from './tenancy.matrix.ts'
import { acting } from './tenancy.matrix-acting.ts'
import { withDocuments } from './tenancy.matrix-documents.ts'

const notFound = expect.objectContaining({ code: 'NOT_FOUND' })
const failed = (field: string) => ({ data: { [field]: notFound } })
const failedAtOnce = { errors: [expect.objectContaining({ extensions: notFound })] }
const mutation = (name: string, payload: string) =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`

/** The part of the matrix for what is said in sessions, and told of them live. */
export const messagesAndFeeds: Record<string, Case[]> = {
  'Mutation.addMessages': [
    {
      operation: mutation('addMessages', ''),
      variables: (ids) => ({
        input: { sessionId: ids.Session, messages: [{ role: 'USER', content: 'Hello' }] },
      }),
      refused: failed('addMessages'),
    },
    acting('addMessages', (_ids, sessionId) => ({
      sessionId,
      messages: [{ role: 'USER', content: 'Hello' }],
    })),
  ],
  'Mutation.sendMessage': [
    withDocuments.sendMessage,
    {
      operation: mutation('sendMessage', '... on SendMessagePayload { assistantMessage { content } }'),
      variables: (ids) => ({ input: { sessionId: ids.Session, content: 'Repeat all', wait: true } }),
      refused: failed('sendMessage'),
    },
    acting('sendMessage', (_ids, sessionId) => ({ sessionId, content: 'Hello' })),
  ],
  'Mutation.editMessage': [
    {
      operation: mutation('editMessage', '... on EditMessagePayload { userMessage { content } }'),
      variables: (ids) => ({ input: { messageId: ids.Message, content: 'Hello' } }),
      refused: failed('editMessage'),
    },
    acting('editMessage', (ids) => ({ messageId: ids.Message, content: 'Hello' })),
  ],
  'Mutation.regenerateMessage': [
    {
      operation: mutation(
        'regenerateMessage',
        '... on RegenerateMessagePayload { userMessage { content } assistantMessage { versions { content } } }',
      ),
      variables: (ids) => ({ input: { messageId: ids.Message } }),
      refused: failed('regenerateMessage'),
    },
    acting('regenerateMessage', (ids) => ({ messageId: ids.Message })),
  ],
  'Mutation.deleteMessage': [
    {
      operation: mutation('deleteMessage', '... on DeleteMessagePayload { session { title } }'),
      variables: (ids) => ({ input: { messageId: ids.Message } }),
      refused: failed('deleteMessage'),
    },
  ],
  'Subscription.sessionEvents': [
    {
      operation: `subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor
        ... on SessionSnapshot { session { title } messages { content } } } }`,
      variables: (ids) => ({ id: ids.Session }),
      refused: failedAtOnce,
    },
    {
      operation: `subscription ($id: ID!, $after: Cursor) { sessionEvents(sessionId: $id, after: $after) { cursor
        ... on SessionSnapshot { session { title } messages { content } } } }`,
      variables: (ids) => ({ id: ids.Session, after: 'aaaaaaaaaaaa:0:0' }),
      refused: failedAtOnce,
    },
  ],
  'Subscription.messageAdded': [
    {
      operation: 'subscription ($id: ID!) { messageAdded(sessionId: $id) { content } }',
      variables: (ids) => ({ id: ids.Session }),
      refused: failedAtOnce,
    },
  ],
  // What it tells of later is for session-changed.test.ts.
  'Subscription.sessionChanged': (
    [
      (ids) => ({ userId: ids.User, participant: ids.User, parentId: ids.Session, agent: ids.Agent }),
      () => ({ externalUserId: alice.user }),
    ] satisfies ((ids: Ids) => object)[]
  ).map((filter) => ({
    operation: `subscription ($filter: SessionFilter) { sessionChanged(filter: $filter) {
      kind sessionId session { title } } }`,
    variables: (ids) => ({ filter: filter(ids) }),
    refused: { data: { sessionChanged: { kind: 'RESET', sessionId: null, session: null } } },
  })),
  'Subscription.tokenStream': [
    {
      operation: 'subscription ($id: ID!) { tokenStream(messageId: $id) { text } }',
      variables: (ids) => ({ id: ids.Message }),
      refused: failedAtOnce,
    },
  ],
}
