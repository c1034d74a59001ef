import type { ApolloCache, ApolloClient } from '@apollo/client'
import {
  type ConversationRunsQuery,
  ConversationRunsDocument as query,
  type RunFieldsFragment,
  RunFieldsFragmentDoc,
} from '../generated/graphql.ts'
import { coalesced } from './coalesce.ts'
import { perSession } from './per-session.ts'

/**
 * Reads which run of the session is active and which wait, in their order; the session alone tells it. One reading at a
 * time, whoever asks: an older answer must not come last, nor set back what the feed has told of a run meanwhile.
 */
export const readRuns = (client: ApolloClient, sessionId: string): Promise<void> =>
  readerOf(client, sessionId)()

const readerOf = perSession((client, sessionId) => {
  const variables = { sessionId }
  return coalesced(
    () => client.query({ query, variables, fetchPolicy: 'no-cache' }),
    ({ data }, isStale) => {
      if (data) client.writeQuery({ query, variables, data: isStale ? asTold(client.cache, data) : data })
    },
  )
})

/** The same with all that is known of each run already. */
function asTold(cache: ApolloCache, { session, ...data }: ConversationRunsQuery): ConversationRunsQuery {
  const told = <Run extends RunFieldsFragment>(run: Run): Run => {
    const known = {
      id: cache.identify(run) ?? run.id,
      fragment: RunFieldsFragmentDoc,
      fragmentName: 'RunFields',
    }
    return { ...run, ...cache.readFragment(known) }
  }
  if (!session) return { ...data, session }
  const { activeRun, queuedRuns } = session
  return {
    ...data,
    session: { ...session, activeRun: activeRun && told(activeRun), queuedRuns: queuedRuns.map(told) },
  }
}
