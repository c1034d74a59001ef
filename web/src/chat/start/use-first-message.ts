import { useApolloClient } from '@apollo/client/react'
import { newClientId, unwrap } from '@parley/client'
import { parleyOf, sendIn } from '@parley/client/apollo'
import { useState } from 'react'
import { graphql } from '../../generated/gql.ts'
import { navigate } from '../route.ts'
import { useToast } from '../ui/toast.tsx'

const startSession = graphql(`
  mutation StartSession($input: CreateSessionInput!) {
    createSession(input: $input) {
      __typename
      ... on CreateSessionPayload {
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

/** Makes a session and sends the first message in it; the page goes there at once. */
export function useFirstMessage() {
  const client = useApolloClient()
  const toast = useToast()
  const [isBeginning, setBeginning] = useState(false)
  const [fault, setFault] = useState<string | null>(null)

  async function begin(content: string, from: { agent?: string; template?: string }) {
    setBeginning(true)
    setFault(null)
    try {
      const clientId = newClientId()
      const { createSession } = await parleyOf(client).request(startSession, { input: { ...from, clientId } })
      const { session, deactivatedSessions } = unwrap(createSession)
      sendIn(client, session.id, content)
      navigate({ sessionId: session.id })
      const [closed] = deactivatedSessions
      if (closed) toast({ text: `Inactive now, to make room: “${closed.title ?? 'New conversation'}”` })
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
    } finally {
      setBeginning(false)
    }
  }

  return { isBeginning, fault, begin: (...args: Parameters<typeof begin>) => void begin(...args) }
}
