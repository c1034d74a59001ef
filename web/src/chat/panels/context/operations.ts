import { graphql } from '../../../generated/gql.ts'

export const ContextPreviewQuery = graphql(`
  query ContextPreview($sessionId: ID!, $content: String) {
    session(id: $sessionId) {
      id
      viewerRole
      contextPreview(content: $content) {
        totalTokens
        limit
        countedBy
        dropped { turns tokens }
        parts {
          kind
          role
          tokens
          content
          message { id seq }
        }
      }
    }
  }
`)

/** The next send would carry something else. */
export const ContextChanged = graphql(`
  subscription ContextChanged($sessionId: ID!) {
    sessionEvents(sessionId: $sessionId) {
      ... on RunFinished { cursor }
      ... on MemoryChanged { cursor }
      ... on MessageAdded { cursor }
      ... on MessageRemoved { cursor }
      ... on SessionSnapshot { cursor }
    }
  }
`)
