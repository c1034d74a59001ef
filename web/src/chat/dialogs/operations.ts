import { graphql } from '../../generated/gql.ts'

export const SessionNameQuery = graphql(`
  query SessionName($sessionId: ID!) {
    session(id: $sessionId) {
      id
      title
      viewerRole
    }
  }
`)

export const RenameSession = graphql(`
  mutation RenameSession($input: UpdateSessionInput!) {
    updateSession(input: $input) {
      ... on UpdateSessionPayload { session { id title titleSource } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)
