import { graphql } from '../../../generated/gql.ts'

export const SessionSettingsQuery = graphql(`
  query SessionSettings($sessionId: ID!) {
    session(id: $sessionId) {
      id
      viewerRole
      title
      titleSource
      tags
      metadata
      isActive
      createdAt
      messageCount
      key
      model
      systemPrompt
      parameters
      contextPolicy { kind messages tokens keepLast passages memories }
      agent { id key name }
      user { id name externalId }
      template { id name }
    }
  }
`)

export const SaveSessionSettings = graphql(`
  mutation SaveSessionSettings($input: UpdateSessionInput!) {
    updateSession(input: $input) {
      ... on UpdateSessionPayload {
        session { id title titleSource tags metadata isActive }
        deactivatedSessions { id title isActive }
      }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const DeleteSession = graphql(`
  mutation DeleteSession($input: DeleteSessionInput!) {
    deleteSession(input: $input) {
      ... on DeleteSessionPayload { sessionId }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const RestoreSession = graphql(`
  mutation RestoreSession($input: RestoreSessionInput!) {
    restoreSession(input: $input) {
      ... on RestoreSessionPayload { session { id title deletedAt } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const PurgeSession = graphql(`
  mutation PurgeSession($input: PurgeSessionInput!) {
    purgeSession(input: $input) {
      ... on PurgeSessionPayload { sessionId }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const DeletedSessionsQuery = graphql(`
  query DeletedSessions($after: Cursor) {
    sessions(filter: { deleted: true }, orderBy: { field: UPDATED_AT }, first: 20, after: $after) {
      nodes { id title deletedAt messageCount }
      totalCount
      pageInfo { hasNextPage endCursor }
    }
  }
`)
