import type { ApolloClient } from '@apollo/client'
import { useApolloClient } from '@apollo/client/react'
import { useEffect, useRef } from 'react'
import type { FeedEvent } from './apply-event.ts'
import { coalesced } from './coalesce.ts'

export type SessionEventType = FeedEvent['__typename']
type Listener = (type: SessionEventType) => void

const listenersOf = new WeakMap<ApolloClient, Map<string, Set<Listener>>>()

/** Tells those who listen that this has happened in the session and is in the cache. */
export function tellListeners(client: ApolloClient, sessionId: string, type: SessionEventType): void {
  for (const listen of listenersOf.get(client)?.get(sessionId) ?? []) listen(type)
}

function listen(client: ApolloClient, sessionId: string, listener: Listener): () => void {
  const bySession = listenersOf.get(client) ?? new Map<string, Set<Listener>>()
  listenersOf.set(client, bySession)
  const listeners = bySession.get(sessionId) ?? new Set()
  bySession.set(sessionId, listeners.add(listener))
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) bySession.delete(sessionId)
  }
}

/**
 * Keeps up to date what depends on a session and is not part of its feed, such as its usage: `read` is called after events
 * of these types, and with `SessionSnapshot` among them whenever the session was read anew. It is called once for those that
 * come while it is under way. It goes by the feed of `useSession`, which must be in use for the session somewhere.
 */
export function useSessionChanges(
  sessionId: string,
  types: readonly SessionEventType[],
  read: () => Promise<unknown>,
): void {
  const client = useApolloClient()
  const latest = useRef(read)
  useEffect(() => {
    latest.current = read
  })
  const typesKey = types.join()
  useEffect(() => {
    const readOnce = coalesced(() => latest.current())
    const awaited = new Set(typesKey.split(','))
    return listen(client, sessionId, (type) => {
      if (awaited.has(type)) void readOnce()
    })
  }, [client, sessionId, typesKey])
}
