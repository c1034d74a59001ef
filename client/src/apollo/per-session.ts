import type { ApolloClient } from '@apollo/client'

/** Makes something once for each session of a client, when it is first asked for. */
export function perSession<Kept>(
  create: (client: ApolloClient, sessionId: string) => Kept,
): (client: ApolloClient, sessionId: string) => Kept {
  const keptOf = new WeakMap<ApolloClient, Map<string, Kept>>()
  return (client, sessionId) => {
    const bySession = keptOf.get(client) ?? new Map<string, Kept>()
    keptOf.set(client, bySession)
    const kept = bySession.get(sessionId) ?? create(client, sessionId)
    bySession.set(sessionId, kept)
    return kept
  }
}
