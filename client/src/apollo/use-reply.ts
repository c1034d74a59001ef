import type { ApolloClient } from '@apollo/client'
import { useApolloClient, useReactiveVar } from '@apollo/client/react'
import { useMemo } from 'react'
import { unwrap } from '../errors.ts'
import {
  CancelRunDocument,
  EditMessageDocument,
  MoveQueuedRunDocument,
  RegenerateMessageDocument,
} from '../generated/graphql.ts'
import { newClientId } from '../operations.ts'
import { parleyOf } from './client.ts'
import { readRuns } from './read-runs.ts'
import { type PendingSend, type SendOptions, sendQueueOf } from './send-queue.ts'

/** What asks for replies in a session, and stops them. What comes of it is shown by `useSession`. */
export type Reply = {
  /** Messages that the conversation does not have yet, the oldest first; failed ones stay until dealt with. */
  pending: readonly PendingSend[]
  /**
   * Stores a message and starts a reply to it; a failure is told in `pending`. Messages go one after another, in their order.
   * One that failed for what goes by in time, such as want of a connection, is sent again by itself, and holds up those after
   * it until then.
   */
  send(content: string, options?: SendOptions): void
  /** Sends a failed one again; it cannot be stored twice. */
  retry(clientId: string): void
  discard(clientId: string): void
  /** Stops a run that is active or waits; its text so far stays. */
  cancel(runId: string): Promise<void>
  /** Gives a run that waits another place in the line: 0 is the next. */
  move(runId: string, position: number): Promise<void>
  edit(messageId: string, content: string): Promise<void>
  regenerate(messageId: string): Promise<void>
}

export function useReply(sessionId: string): Reply {
  const client = useApolloClient()
  const queue = sendQueueOf(client, sessionId)
  const pending = useReactiveVar(queue.pending)
  const actions = useMemo(() => createActions(client, sessionId), [client, sessionId])
  const { send, retry, discard } = queue
  return { pending, send, retry, discard, ...actions }
}

/** Sends a message in a session that no component shows yet, such as the first one; see `Reply.send`. */
export function sendIn(
  client: ApolloClient,
  sessionId: string,
  content: string,
  options?: SendOptions,
): void {
  sendQueueOf(client, sessionId).send(content, options)
}

function createActions(
  client: ApolloClient,
  sessionId: string,
): Pick<Reply, 'cancel' | 'move' | 'edit' | 'regenerate'> {
  const parley = parleyOf(client)

  return {
    async cancel(runId) {
      const input = { runId }
      unwrap((await parley.request(CancelRunDocument, { input }, { isRepeatable: true })).cancelRun)
      await readRuns(client, sessionId)
    },
    async move(runId, position) {
      const input = { runId, position }
      unwrap((await parley.request(MoveQueuedRunDocument, { input }, { isRepeatable: true })).moveQueuedRun)
      await readRuns(client, sessionId)
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
