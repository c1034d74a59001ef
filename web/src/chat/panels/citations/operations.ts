import { graphql } from '../../../generated/gql.ts'
import type { MessageCitationsFragment } from '../../../generated/graphql.ts'

export type Citation = MessageCitationsFragment['citations'][number]

export const MessageCitations = graphql(`
  fragment MessageCitations on Message {
    citations {
      marker
      isCited
      score
      document {
        id
        title
      }
      passage {
        text
        heading
        page
        startOffset
        endOffset
      }
    }
  }
`)

export const CitationsQuery = graphql(`
  query Citations($ids: [ID!]!) {
    nodes(ids: $ids) {
      ... on Message {
        id
        ...MessageCitations
      }
    }
  }
`)
