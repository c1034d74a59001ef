import type { ApolloClient } from '@apollo/client'
import { useApolloClient, useReactiveVar } from '@apollo/client/react'
import { useEffect, useMemo } from 'react'
import { ParleyError, unwrap } from '../errors.ts'
import {
  CancelRunDocument,
  ConversationRunsDocument,
  EditMessageDocument,
  RegenerateMessageDocument,
  SendMessageDocument,
  type SendMessageInput,
} from '../generated/graphql.ts'
import { newClientId } from '../operations.ts'
import { parleyOf } from './client.ts'
import { type PendingSend, pendingSends } from './pending-sends.ts'

export type SendOptions = Omit<SendMessageInput, 'sessionId' | 'content' | 'clientId' | 'wait'>

/** What asks for replies in a session, and stops them. What comes of it is shown by `useSession`. */
export type Reply = {
  /** Messages that the conversation does not have yet, the oldest first; failed ones stay until dealt with. */
  pending: readonly PendingSend[]
  /**
   * Stores a message and starts a reply to it; a failure is told in `pending`. One that failed for want of a connection is
   * sent again when there is one.
   */
  send(content: string, options?: SendOptions): void
  /** Sends a failed one again; it cannot be stored twice. */
  retry(clientId: string): void
  discard(clientId: string): void
  /** Stops a run that is active or waits; its text so far stays. */
  cancel(runId: string): Promise<void>
  edit(messageId: string, content: string): Promise<void>
  regenerate(messageId: string): Promise<void>
}

export function useReply(sessionId: string): Reply {
  const client = useApolloClient()
  const pending = useReactiveVar(pendingSends(client, sessionId))
  const actions = useMemo(() => createActions(client, sessionId), [client, sessionId])
  useEffect(() => {
    const sends = pendingSends(client, sessionId)
    return parleyOf(client).onStatus(({ state }) => {
      if (state !== 'connected') return
      for (const { clientId, error } of sends()) if (error?.isTransient) actions.retry(clientId)
    })
  }, [client, sessionId, actions])
  return { pending, ...actions }
}

/** Sends a message in a session that no component shows yet, such as the first one; see `Reply.send`. */
export function sendIn(
  client: ApolloClient,
  sessionId: string,
  content: string,
  options?: SendOptions,
): void {
  createActions(client, sessionId).send(content, options)
}

function createActions(client: ApolloClient, sessionId: string): Omit<Reply, 'pending'> {
  const parley = parleyOf(client)
  const sends = pendingSends(client, sessionId)
  const replace = (clientId: string, next: readonly PendingSend[]) =>
    sends(sends().flatMap((send) => (send.clientId === clientId ? next : [send])))

  async function deliver({ clientId, input }: PendingSend) {
    try {
      const { sendMessage } = await parley.request(SendMessageDocument, { input })
      unwrap(sendMessage)
      replace(clientId, [])
      await readRuns()
    } catch (cause) {
      const error =
        cause instanceof ParleyError
          ? cause
          : new ParleyError('INTERNAL_SERVER_ERROR', String(cause), { cause })
      replace(clientId, [{ clientId, input, error }])
    }
  }

  async function readRuns() {
    const query = { query: ConversationRunsDocument, variables: { sessionId } }
    await client.query({ ...query, fetchPolicy: 'network-only' }).catch(() => {})
  }

  return {
    send(content, options) {
      const clientId = newClientId()
      const send = { clientId, input: { ...options, sessionId, content, clientId }, error: null }
      sends([...sends(), send])
      void deliver(send)
    },
    retry(clientId) {
      const failed = sends().find((send) => send.clientId === clientId)
      if (!failed?.error) return
      const send = { ...failed, error: null }
      replace(clientId, [send])
      void deliver(send)
    },
    discard: (clientId) => replace(clientId, []),
    async cancel(runId) {
      unwrap(
        (await parley.request(CancelRunDocument, { input: { runId } }, { isRepeatable: true })).cancelRun,
      )
      await readRuns()
    },
    async edit(messageId, content) {
      const input = { messageId, content, clientId: newClientId() }
      unwrap((await parley.request(EditMessageDocument, { input })).editMessage)
    },
    async regenerate(messageId) {
      const input = { messageId, clientId: newClientId() }
      unwrap((await parley.request(RegenerateMessageDocument, { input })).regenerateMessage)
    },
  }
}
