import type { ApolloClient } from '@apollo/client'
import { useApolloClient, useQuery, useSubscription } from '@apollo/client/react'
import { useMemo } from 'react'
import {
  type SessionFilter,
  SessionListChangesDocument,
  SessionListDocument,
  type SessionListQuery,
  type SessionListQueryVariables,
  type SessionOrder,
} from '../generated/graphql.ts'

export type ListedSession = SessionListQuery['sessions']['nodes'][number]

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
  const { data, loading, error, fetchMore, refetch } = useQuery(SessionListDocument, {
    variables,
    fetchPolicy: 'cache-and-network',
  })
  useSubscription(SessionListChangesDocument, {
    variables: filter ? { filter } : {},
    ignoreResults: true,
    onData({ data: { data } }) {
      if (data?.sessionChanged.kind === 'RESET') void refetch().catch(() => {})
      else if (data) takeIn(client, variables, data.sessionChanged)
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

type Change = { kind: string; sessionId: string | null; session: ListedSession | null }

function takeIn(client: ApolloClient, variables: SessionListQueryVariables, { sessionId, session }: Change) {
  client.cache.updateQuery({ query: SessionListDocument, variables }, (data) => {
    if (!data) return undefined
    const { nodes, totalCount } = data.sessions
    const others = nodes.filter(({ id }) => id !== sessionId)
    const isKnown = others.length < nodes.length
    const next = session ? (isKnown ? nodes : [session, ...nodes]) : others
    if (next === nodes || next.length === nodes.length) return undefined
    return {
      sessions: { ...data.sessions, nodes: next, totalCount: totalCount + next.length - nodes.length },
    }
  })
}

/** As the server orders them; one that changed may have moved. */
function sorted(sessions: readonly ListedSession[], { field, direction }: SessionOrder) {
  const sign = direction === 'ASC' ? 1 : -1
  return sessions.toSorted((one, other) => {
    const [a, b] = [keyOf(one, field), keyOf(other, field)]
    return a === b ? (one.id < other.id ? -sign : sign) : a < b ? -sign : sign
  })
}

function keyOf(session: ListedSession, field: SessionOrder['field']): string | number {
  switch (field) {
    case 'MESSAGE_COUNT':
      return session.messageCount
    case 'TITLE':
      return session.title ?? ''
    case 'CREATED_AT':
      return session.createdAt
    case 'UPDATED_AT':
      return session.updatedAt
    case 'LAST_MESSAGE_AT':
      return session.lastMessageAt ?? session.createdAt
  }
}
