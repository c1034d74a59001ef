import type { ApolloClient } from '@apollo/client'
import {
  SessionListDocument,
  type SessionListQuery,
  type SessionListQueryVariables,
  type SessionOrder,
} from '../generated/graphql.ts'

type Sessions = SessionListQuery['sessions']
export type ListedSession = Sessions['nodes'][number]

export type ListChange = {
  kind: 'CREATED' | 'UPDATED' | 'DELETED'
  sessionId: string | null
  session: ListedSession | null
}

/**
 * The list after a change. A session that belongs behind the last one that is loaded comes when that page is read, and
 * counts already. Null where the list stays as it is.
 */
export function changed(sessions: Sessions, change: ListChange, orderBy: SessionOrder): Sessions | null {
  const { kind, sessionId, session } = change
  const { nodes, totalCount, pageInfo } = sessions
  const isLoaded = nodes.some(({ id }) => id === sessionId)
  if (kind === 'DELETED') {
    const others = isLoaded ? nodes.filter(({ id }) => id !== sessionId) : nodes
    return { ...sessions, nodes: others, totalCount: Math.max(others.length, totalCount - 1) }
  }
  if (isLoaded || !session) return null
  const last = sorted(nodes, orderBy).at(-1)
  const isBeyond = pageInfo.hasNextPage && last !== undefined && compare(last, session, orderBy) < 0
  const next = isBeyond ? nodes : [session, ...nodes]
  const count = kind === 'CREATED' ? totalCount + 1 : totalCount
  return { ...sessions, nodes: next, totalCount: Math.max(next.length, count) }
}

/** Reads the list anew from its start, as far as it is loaded, and puts it into the cache all at once. */
export async function readAgain(client: ApolloClient, variables: SessionListQueryVariables): Promise<void> {
  const query = SessionListDocument
  // Asked with each page: somebody may be reading on meanwhile.
  const loaded = () => client.readQuery({ query, variables })?.sessions.nodes.length ?? 0
  let page = await readPage(client, variables)
  let { nodes } = page
  while (page.pageInfo.hasNextPage && nodes.length < loaded()) {
    page = await readPage(client, { ...variables, after: page.pageInfo.endCursor })
    nodes = [...nodes, ...page.nodes]
  }
  client.writeQuery({ query, variables, data: { sessions: { ...page, nodes } } })
}

async function readPage(client: ApolloClient, variables: SessionListQueryVariables): Promise<Sessions> {
  const { data } = await client.query({
    query: SessionListDocument,
    variables,
    fetchPolicy: 'no-cache',
    // The same question may be under way since before the changes that are to be read.
    context: { queryDeduplication: false },
  })
  if (!data) throw new Error('There is no answer.')
  return data.sessions
}

/** As the server orders them; one that changed may have moved. */
export const sorted = (sessions: readonly ListedSession[], orderBy: SessionOrder): ListedSession[] =>
  sessions.toSorted((one, other) => compare(one, other, orderBy))

function compare(one: ListedSession, other: ListedSession, { field, direction }: SessionOrder): number {
  const sign = direction === 'ASC' ? 1 : -1
  const [a, b] = [keyOf(one, field), keyOf(other, field)]
  return a === b ? (one.id < other.id ? -sign : sign) : a < b ? -sign : sign
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
