import { useApolloClient } from '@apollo/client/react'
import { newClientId, unwrap } from '@parley/client'
import { parleyOf, type Reply } from '@parley/client/apollo'
import { useMemo } from 'react'
import { graphql } from '../../generated/gql.ts'
import { navigate } from '../route.ts'
import { useToast } from '../ui/toast.tsx'
import type { MessageActions } from './message-actions.ts'

const forkSession = graphql(`
  mutation ForkSession($input: ForkSessionInput!) {
    forkSession(input: $input) {
      __typename
      ... on ForkSessionPayload {
        session {
          id
        }
        deactivatedSessions {
          id
          title
          isActive
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

type Options = {
  sessionId: string
  reply: Reply
  canWrite: boolean
  startEdit: (messageId: string | null) => void
}

export function useMessageActions({ sessionId, reply, canWrite, startEdit }: Options): MessageActions {
  const parley = parleyOf(useApolloClient())
  const toast = useToast()
  const { edit, regenerate } = reply
  return useMemo(() => {
    const tell = (error: unknown) => toast({ text: error instanceof Error ? error.message : String(error) })
    return {
      canWrite,
      startEdit,
      edit(messageId, content) {
        edit(messageId, content).then(() => startEdit(null), tell)
      },
      regenerate(messageId) {
        regenerate(messageId).catch(tell)
      },
      fork(atMessageId) {
        const input = { sessionId, atMessageId, clientId: newClientId() }
        parley
          .request(forkSession, { input })
          .then(({ forkSession }) => {
            navigate({ sessionId: unwrap(forkSession).session.id })
            toast({ text: 'This is a copy up to that reply. The conversation before stays as it is.' })
          }, tell)
          .catch(tell)
      },
    }
  }, [parley, toast, sessionId, edit, regenerate, canWrite, startEdit])
}
