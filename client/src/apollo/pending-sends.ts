import { type ApolloClient, makeVar, type ReactiveVar } from '@apollo/client'
import type { ParleyError } from '../errors.ts'
import type { SendMessageInput } from '../generated/graphql.ts'

/** A message on its way: shown at once, until the conversation has it. */
export type PendingSend = {
  /** The key by which the server knows a repeated send again. */
  clientId: string
  input: SendMessageInput
  /** Why it could not be sent; null while it is being sent. */
  error: ParleyError | null
}

type Sends = ReactiveVar<readonly PendingSend[]>

const sendsOf = new WeakMap<ApolloClient, Map<string, Sends>>()

/** The sends of one session that are under way or have failed, whoever shows them. */
export function pendingSends(client: ApolloClient, sessionId: string): Sends {
  const bySession = sendsOf.get(client) ?? new Map<string, Sends>()
  sendsOf.set(client, bySession)
  const sends = bySession.get(sessionId) ?? makeVar<readonly PendingSend[]>([])
  bySession.set(sessionId, sends)
  return sends
}
