import { useMutation } from '@apollo/client/react'
import type { LiveSession } from '@parley/client/apollo'
import { useEffect, useState } from 'react'
import { graphql } from '../../generated/gql.ts'

const markRead = graphql(`
  mutation MarkRead($input: MarkReadInput!) {
    markRead(input: $input) {
      __typename
      ... on MarkReadPayload {
        session {
          id
          viewerUnread
          viewerLastReadSeq
        }
      }
    }
  }
`)

/** Notes the messages of the open session as read, while the page is being looked at. */
export function useMarkRead(session: LiveSession['session']) {
  const [mark] = useMutation(markRead)
  const isVisible = useIsVisible()
  const sessionId = session?.id
  const lastSeq = session?.messages.nodes.findLast(({ status }) => status !== 'STREAMING')?.seq ?? 0
  const isNew = lastSeq > (session?.viewerLastReadSeq ?? 0)
  useEffect(() => {
    if (!sessionId || !isVisible || !isNew) return
    mark({ variables: { input: { sessionId, seq: lastSeq } } }).catch(() => {})
  }, [mark, sessionId, isVisible, isNew, lastSeq])
}

function useIsVisible() {
  const [isVisible, setVisible] = useState(!document.hidden)
  useEffect(() => {
    const listen = () => setVisible(!document.hidden)
    document.addEventListener('visibilitychange', listen)
    return () => document.removeEventListener('visibilitychange', listen)
  }, [])
  return isVisible
}
