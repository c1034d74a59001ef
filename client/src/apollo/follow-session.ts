import type { ApolloClient } from '@apollo/client'
import { ParleyError } from '../errors.ts'
import {
  ConversationDocument,
  ConversationRunsDocument,
  MessageAuthorDocument,
  SessionEventsDocument,
} from '../generated/graphql.ts'
import { applyEvent, type FeedEvent, LostText } from './apply-event.ts'
import { parleyOf } from './client.ts'

type FollowOptions = {
  client: ApolloClient
  sessionId: string
  /** How many of the last messages are read at first. */
  last: number
  signal: AbortSignal
}

/**
 * Reads a session into the cache and keeps it there as it is on the server, until the signal aborts. Resolves when the
 * session is deleted; throws what no retry can mend, NOT_FOUND among it.
 */
export async function followSession(options: FollowOptions): Promise<void> {
  for (;;) {
    try {
      return await readAndFollow(options)
    } catch (error) {
      if (!(error instanceof LostText)) throw error
    }
  }
}

async function readAndFollow({ client, sessionId, last, signal }: FollowOptions) {
  const { data } = await client.query({
    query: ConversationDocument,
    variables: { sessionId, last },
    fetchPolicy: 'network-only',
    context: { queryDeduplication: false },
  })
  signal.throwIfAborted()
  if (!data?.session)
    throw new ParleyError('NOT_FOUND', 'There is no such session, or it is not yours to see.')
  let after = data.session.cursor
  const readRuns = createRunsReader(client, sessionId)
  // With __typename everywhere, by which the cache knows objects.
  const events = client.cache.transformDocument(SessionEventsDocument) as typeof SessionEventsDocument
  const variables = () => ({ sessionId, after })
  for await (const { sessionEvents: event } of parleyOf(client).subscribe(events, variables, {
    signal,
  })) {
    after = event.cursor
    applyEvent(client.cache, sessionId, event)
    if (event.__typename === 'SessionDeleted') return
    if (concernsRuns(event)) void readRuns()
    if (event.__typename === 'MessageAdded' && event.message.role === 'USER')
      void readAuthor(client, event.message.id)
  }
}

const concernsRuns = ({ __typename }: FeedEvent) =>
  __typename.startsWith('Run') || __typename === 'SessionSnapshot'

/** Which run is active and which wait is told by the session alone; changes that come together are read once. */
function createRunsReader(client: ApolloClient, sessionId: string) {
  let isReading = false
  let isStale = false
  return async function read(): Promise<void> {
    isStale = true
    if (isReading) return
    isReading = true
    while (isStale) {
      isStale = false
      // Without an answer the next change tries anew.
      await client
        .query({ query: ConversationRunsDocument, variables: { sessionId }, fetchPolicy: 'network-only' })
        .catch(() => {})
    }
    isReading = false
  }
}

const readAuthor = (client: ApolloClient, messageId: string) =>
  client
    .query({ query: MessageAuthorDocument, variables: { messageId }, fetchPolicy: 'network-only' })
    .catch(() => {})
