import { type ApolloClient, makeVar, type ReactiveVar } from '@apollo/client'
import { ParleyError, unwrap } from '../errors.ts'
import { SendMessageDocument, type SendMessageInput } from '../generated/graphql.ts'
import { pause } from '../network.ts'
import { newClientId } from '../operations.ts'
import { waitMs } from '../retry.ts'
import { takeAnswer } from './apply-event.ts'
import { parleyOf } from './client.ts'
import { perSession } from './per-session.ts'
import { readRuns } from './read-runs.ts'

/** A message on its way: shown at once, until the conversation has it. */
export type PendingSend = {
  /** The key by which the server knows a repeated send again. */
  clientId: string
  input: SendMessageInput
  /** Why it could not be sent; null while it is being sent or waits for those before it. */
  error: ParleyError | null
}

export type SendOptions = Omit<SendMessageInput, 'sessionId' | 'content' | 'clientId' | 'wait'>

/** The sends of one session that are under way or have failed, whoever shows them. */
export type SendQueue = {
  pending: ReactiveVar<readonly PendingSend[]>
  send(content: string, options?: SendOptions): void
  /** Sends a failed one again, at once. */
  retry(clientId: string): void
  discard(clientId: string): void
}

export const sendQueueOf = perSession(createSendQueue)

/** What goes by in time; a fault of the server may be one of this message, which must not hold up the others. */
const isPassing = ({ isTransient, code }: ParleyError) => isTransient && code !== 'INTERNAL_SERVER_ERROR'

/** One after another, in their order: while one waits to be sent again, those after it wait as well. */
function createSendQueue(client: ApolloClient, sessionId: string): SendQueue {
  const parley = parleyOf(client)
  const pending = makeVar<readonly PendingSend[]>([])
  // With __typename everywhere, by which the cache knows objects.
  const document = client.cache.transformDocument(SendMessageDocument) as typeof SendMessageDocument
  let isWorking = false
  let hurry = () => {}

  const replace = (clientId: string, next: readonly PendingSend[]) =>
    pending(pending().flatMap((send) => (send.clientId === clientId ? next : [send])))
  const first = () => pending().find(({ error }) => !error || isPassing(error))

  async function work() {
    if (isWorking) return
    isWorking = true
    let failures = 0
    for (let send = first(); send; send = first()) {
      const error = await deliver(send)
      failures = error ? failures + 1 : 0
      if (error && isPassing(error)) await pauseAfter(error, failures)
    }
    isWorking = false
  }

  async function deliver({ clientId, input }: PendingSend): Promise<ParleyError | null> {
    try {
      const { sendMessage } = await parley.request(document, { input })
      const { userMessage, assistantMessage } = unwrap(sendMessage)
      for (const message of [userMessage, assistantMessage]) takeAnswer(client.cache, sessionId, message)
      replace(clientId, [])
      void readRuns(client, sessionId)
      return null
    } catch (cause) {
      const error =
        cause instanceof ParleyError
          ? cause
          : new ParleyError('INTERNAL_SERVER_ERROR', String(cause), { cause })
      replace(clientId, [{ clientId, input, error }])
      return error
    }
  }

  /** Until it may be tried again, there is a connection again, or somebody does not want to wait. */
  async function pauseAfter(error: ParleyError, failures: number) {
    const ending = new AbortController()
    hurry = () => ending.abort()
    const unlisten = parley.onStatus(({ state }) => {
      if (state === 'connected' && error.retryAfterSeconds === undefined) hurry()
    })
    await pause(waitMs(error, failures), ending.signal).catch(() => {})
    unlisten()
  }

  return {
    pending,
    send(content, options) {
      const clientId = newClientId()
      pending([...pending(), { clientId, input: { ...options, sessionId, content, clientId }, error: null }])
      void work()
    },
    retry(clientId) {
      const failed = pending().find((send) => send.clientId === clientId)
      if (!failed?.error) return
      replace(clientId, [{ ...failed, error: null }])
      if (first()?.clientId === clientId) hurry()
      void work()
    },
    discard(clientId) {
      const isFirst = first()?.clientId === clientId
      replace(clientId, [])
      if (isFirst) hurry()
    },
  }
}
