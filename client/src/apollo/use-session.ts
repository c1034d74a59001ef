import { useApolloClient, useQuery } from '@apollo/client/react'
import { useCallback, useEffect, useState } from 'react'
import { ParleyError } from '../errors.ts'
import { ConversationDocument, type ConversationQuery, OlderMessagesDocument } from '../generated/graphql.ts'
import { followSession } from './follow-session.ts'

type Conversation = NonNullable<ConversationQuery['session']>
export type SessionMessage = Conversation['messages']['nodes'][number]
export type SessionRun = NonNullable<Conversation['activeRun']>

export type LiveSession = {
  /** The session with its messages as far as they are read, kept live; null until it was read. */
  session: Conversation | null
  /** Why it cannot be read or followed, such as NOT_FOUND; null while all is well. */
  error: ParleyError | null
  isDeleted: boolean
  hasOlder: boolean
  isLoadingOlder: boolean
  /** Reads the page before the oldest message; nothing while one is being read. */
  loadOlder(): Promise<void>
  /** Reads and follows anew after an error. */
  retry(): void
}

type State = { error: ParleyError | null; isDeleted: boolean }
const well: State = { error: null, isDeleted: false }

/**
 * One session with its messages, live: what happens in it is put into Apollo's cache, over reconnects and restarts, once
 * and in order. `last` messages are read at first and with each `loadOlder`, 50 by default.
 */
export function useSession(sessionId: string, { last = 50 } = {}): LiveSession {
  const client = useApolloClient()
  const [attempt, setAttempt] = useState(0)
  const [state, setState] = useState(well)
  const [isLoadingOlder, setLoadingOlder] = useState(false)
  const { data } = useQuery(ConversationDocument, {
    variables: { sessionId, last },
    fetchPolicy: 'cache-only',
    nextFetchPolicy: 'cache-only',
  })
  const session = data?.session ?? null
  const { hasPreviousPage, startCursor } = session?.messages.pageInfo ?? {}

  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt is a new start
  useEffect(() => {
    const ending = new AbortController()
    const { signal } = ending
    setState(well)
    followSession({ client, sessionId, last, signal }).then(
      () => setState({ error: null, isDeleted: true }),
      (error) => {
        if (!signal.aborted) setState({ error: asParleyError(error), isDeleted: false })
      },
    )
    return () => ending.abort()
  }, [client, sessionId, last, attempt])

  const loadOlder = useCallback(async () => {
    if (isLoadingOlder || !hasPreviousPage || !startCursor) return
    setLoadingOlder(true)
    const variables = { sessionId, last, before: startCursor }
    try {
      await client.query({ query: OlderMessagesDocument, variables, fetchPolicy: 'network-only' })
    } finally {
      setLoadingOlder(false)
    }
  }, [client, sessionId, last, isLoadingOlder, hasPreviousPage, startCursor])

  return {
    session,
    ...state,
    hasOlder: hasPreviousPage ?? false,
    isLoadingOlder,
    loadOlder,
    retry: () => setAttempt(attempt + 1),
  }
}

function asParleyError(error: unknown): ParleyError {
  if (error instanceof ParleyError) return error
  return new ParleyError('INTERNAL_SERVER_ERROR', String(error), { cause: error })
}
