/**
 * What an application would ask by Relay, for its compiler: `npx relay-compiler@21.0.1 test/relay/relay.config.json`
 * writes `__generated__`, which is checked in, since the compiler is 118 MB of binaries.
 */
import { graphql } from 'relay-runtime'

export const operations = [
  () => graphql`
    query operationsListQuery($count: Int!, $after: Cursor) {
      sessions(first: $count, after: $after) @connection(key: "List_sessions") {
        __id
        edges {
          node {
            id
            ...operationsTitle
          }
        }
      }
    }
  `,
  () => graphql`
    fragment operationsTitle on Session {
      title
    }
  `,
  () => graphql`
    query operationsNodeQuery($id: ID!) {
      node(id: $id) {
        id
        ... on Session {
          title
        }
      }
    }
  `,
  () => graphql`
    mutation operationsCreateMutation($input: CreateSessionInput!, $connections: [ID!]!) {
      createSession(input: $input) {
        ... on CreateSessionPayload {
          session @appendNode(connections: $connections, edgeTypeName: "SessionEdge") {
            id
            ...operationsTitle
          }
        }
        ... on Error {
          code
          message
        }
      }
    }
  `,
  () => graphql`
    mutation operationsRenameMutation($input: UpdateSessionInput!) {
      updateSession(input: $input) {
        __typename
        ... on Error {
          code
          message
        }
      }
    }
  `,
  () => graphql`
    subscription operationsFeedSubscription($sessionId: ID!, $after: Cursor) {
      sessionEvents(sessionId: $sessionId, after: $after) {
        __typename
        cursor
        ... on SessionUpdated {
          session {
            id
            ...operationsTitle
          }
        }
      }
    }
  `,
]
