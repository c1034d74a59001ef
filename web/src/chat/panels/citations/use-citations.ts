import type { ApolloClient } from '@apollo/client'
import { useApolloClient, useFragment } from '@apollo/client/react'
import { useEffect } from 'react'
import { type Citation, CitationsQuery, MessageCitations } from './operations.ts'

/** Well within what a query may cost. */
const idsPerQuery = 50

/**
 * What a reply was given to read; empty until that is known. It is asked for apart from the messages, since events must
 * be alike for all readers, and whether a document can be seen is not.
 */
export function useCitations(messageId: string): readonly Citation[] {
  const client = useApolloClient()
  const { data, complete } = useFragment({
    fragment: MessageCitations,
    from: { __typename: 'Message', id: messageId },
  })
  useEffect(() => {
    if (!complete) ask(client, messageId)
  }, [client, messageId, complete])
  return complete ? data.citations : []
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
      client.query({ query: CitationsQuery, variables, fetchPolicy: 'network-only' }).catch(() => {})
    }
  })
}
