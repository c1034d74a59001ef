import { useQuery } from '@apollo/client/react'
import { graphql } from '../../generated/gql.ts'
import { Citations } from '../panels/citations/citations.tsx'

const citationsQuery = graphql(`
  query ReplyCitations($messageId: ID!) {
    message(id: $messageId) {
      id
      ...MessageCitations
    }
  }
`)

/** What a reply refers to as [1], [2] and so on; asked for only where it has such a mark. */
export function ReplyCitations({ messageId, text }: { messageId: string; text: string }) {
  const { data } = useQuery(citationsQuery, { variables: { messageId }, skip: !/\[\d+\]/.test(text) })
  const citations = data?.message?.citations ?? []
  return citations.length > 0 ? <Citations citations={citations} /> : null
}
