import type { ApolloClient } from '@apollo/client'
import { useApolloClient, useFragment } from '@apollo/client/react'
import { useEffect } from 'react'
import { graphql } from '../generated/gql.ts'
import type { MessageDetailsFragment } from '../generated/graphql.ts'

export type MessageDetails = MessageDetailsFragment
export type Citation = MessageDetails['citations'][number]

const MessageDetailsFragmentDoc = graphql(`
  fragment MessageDetails on Message {
    versions {
      id
    }
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

const detailsQuery = graphql(`
  query MessageDetails($ids: [ID!]!) {
    nodes(ids: $ids) {
      ... on Message {
        id
        ...MessageDetails
      }
    }
  }
`)

/** Well within what a query may cost. */
const idsPerQuery = 50

/**
 * What of a message events do not tell, since they must be alike for all readers: its versions, and the passages that a
 * reply was given. Null until it is known, and for a message that is not to be asked for.
 */
export function useMessageDetails(messageId: string, isWanted = true): MessageDetails | null {
  const client = useApolloClient()
  const { data, complete } = useFragment({
    fragment: MessageDetailsFragmentDoc,
    from: isWanted ? { __typename: 'Message', id: messageId } : null,
  })
  useEffect(() => {
    if (isWanted && !complete) ask(client, messageId)
  }, [client, messageId, isWanted, complete])
  return isWanted && complete ? data : null
}

const asked = new WeakMap<ApolloClient, Set<string>>()

/** All that is asked for while a page is drawn goes in few queries; what fails is asked for again with the next view. */
function ask(client: ApolloClient, messageId: string): void {
  const waiting = asked.get(client)
  if (waiting) return void waiting.add(messageId)
  const ids = new Set([messageId])
  asked.set(client, ids)
  setTimeout(() => {
    asked.delete(client)
    const all = [...ids]
    for (let start = 0; start < all.length; start += idsPerQuery) {
      const variables = { ids: all.slice(start, start + idsPerQuery) }
      client.query({ query: detailsQuery, variables, fetchPolicy: 'network-only' }).catch(() => {})
    }
  })
}
