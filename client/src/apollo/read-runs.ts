import type { ApolloClient } from '@apollo/client'
import { ConversationRunsDocument } from '../generated/graphql.ts'

/** Which run is active and which wait, in their order; the session alone tells it. */
export const readRuns = (client: ApolloClient, sessionId: string): Promise<unknown> =>
  client.query({ query: ConversationRunsDocument, variables: { sessionId }, fetchPolicy: 'network-only' })
