import { graphql } from '../../../generated/gql.ts'

export const PassageContextsQuery = graphql(`
  query PassageContexts($messageId: ID!) {
    message(id: $messageId) {
      citations {
        marker
        passage {
          context(length: 1000) {
            before
            after
          }
        }
      }
    }
  }
`)
