import { useApolloClient, useQuery, useSubscription } from '@apollo/client/react'
import { useMemo, useRef } from 'react'
import {
  type SessionFilter,
  SessionListChangesDocument,
  SessionListDocument,
  type SessionOrder,
} from '../generated/graphql.ts'
import { changed, type ListChange, type ListedSession, readAgain, sorted } from './session-list.ts'

export type { ListedSession }

export type SessionList = {
  /** In their order, as far as they are read, kept live. */
  sessions: readonly ListedSession[]
  totalCount: number
  isLoading: boolean
  error: Error | null
  hasMore: boolean
  loadMore(): Promise<unknown>
  reload(): Promise<unknown>
}

type Options = {
  /** Size of a page; 30 by default. */
  first?: number
  filter?: SessionFilter
  /** The latest activity first by default. */
  orderBy?: SessionOrder
}

const latestFirst: SessionOrder = { field: 'LAST_MESSAGE_AT', direction: 'DESC' }

/** A list of sessions, live: new ones come in, changed ones take their place, deleted ones go. */
export function useSessions({ first = 30, filter, orderBy = latestFirst }: Options = {}): SessionList {
  const client = useApolloClient()
  const variables = { first, orderBy, ...(filter && { filter }) }
  const query = SessionListDocument
  // Asked before the changes are followed, so that there is a list soon. The first RESET reads it again: what happened
  // between may be in neither. What the cache has is left for that to bring up to date.
  const { data, loading, error, fetchMore, refetch } = useQuery(query, { variables })
  const lastReading = useRef(Promise.resolve())
  const takeIn = (change: ListChange) =>
    client.cache.updateQuery({ query, variables }, (data) => {
      const sessions = data && changed(data.sessions, change, orderBy)
      return sessions ? { sessions } : undefined
    })
  useSubscription(SessionListChangesDocument, {
    variables: filter ? { filter } : {},
    ignoreResults: true,
    onData({ data: { data } }) {
      if (!data) return
      const { kind, ...change } = data.sessionChanged
      // What follows a RESET changes the list that is read then.
      lastReading.current = lastReading.current
        .then(() => (kind === 'RESET' ? readAgain(client, variables) : void takeIn({ kind, ...change })))
        .catch(() => {})
    },
  })
  const nodes = data?.sessions.nodes
  const { field, direction } = orderBy
  const sessions = useMemo(() => sorted(nodes ?? [], { field, direction }), [nodes, field, direction])
  const { hasNextPage = false, endCursor } = data?.sessions.pageInfo ?? {}
  return {
    sessions,
    totalCount: data?.sessions.totalCount ?? 0,
    isLoading: loading && !data,
    error: error && !data ? error : null,
    hasMore: hasNextPage,
    loadMore: () => fetchMore({ variables: { after: endCursor ?? null } }),
    reload: () => refetch(),
  }
}
