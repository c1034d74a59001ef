import type { ApolloClient } from '@apollo/client'
import { ParleyError } from '../errors.ts'
import { ConversationDocument, MessageAuthorDocument, SessionEventsDocument } from '../generated/graphql.ts'
import { followSessionEvents } from '../session-feed.ts'
import { applyEvent, type FeedEvent, LostText } from './apply-event.ts'
import { parleyOf } from './client.ts'
import { readRuns } from './read-runs.ts'
import { tellListeners } from './use-session-changes.ts'

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
  const { cursor: after } = data.session
  // What is told from here on begins with what was just read.
  tellListeners(client, sessionId, 'SessionSnapshot')
  // With __typename everywhere, by which the cache knows objects.
  const document = client.cache.transformDocument(SessionEventsDocument) as typeof SessionEventsDocument
  const parley = parleyOf(client)
  for await (const event of followSessionEvents({ parley, document, sessionId, after, signal })) {
    applyEvent(client.cache, sessionId, event)
    tellListeners(client, sessionId, event.__typename)
    if (event.__typename === 'SessionDeleted') return
    if (concernsRuns(event)) void readRuns(client, sessionId)
    if (event.__typename === 'MessageAdded' && event.message.role === 'USER')
      void readAuthor(client, event.message.id)
  }
}

const concernsRuns = ({ __typename }: FeedEvent) =>
  __typename.startsWith('Run') || __typename === 'SessionSnapshot'

const readAuthor = (client: ApolloClient, messageId: string) =>
  client
    .query({ query: MessageAuthorDocument, variables: { messageId }, fetchPolicy: 'network-only' })
    .catch(() => {})
