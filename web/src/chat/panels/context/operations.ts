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
        dropped { turns tokens reason }
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
