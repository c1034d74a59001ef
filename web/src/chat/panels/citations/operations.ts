import { graphql } from '../../../generated/gql.ts'
import type { MessageCitationsFragment } from '../../../generated/graphql.ts'

/** What `Citations` shows; spread it where messages are read. */
export const MessageCitations = graphql(`
  fragment MessageCitations on Message {
    citations {
      marker
      isCited
      score
      document { id title mimeType }
      passage { text heading page startOffset endOffset }
    }
  }
`)

export type Citation = MessageCitationsFragment['citations'][number]
