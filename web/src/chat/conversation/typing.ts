import { useMutation } from '@apollo/client/react'
import { useCallback, useRef } from 'react'
import { graphql } from '../../generated/gql.ts'

const setTyping = graphql(`
  mutation SetTyping($input: SetTypingInput!) {
    setTyping(input: $input) {
      __typename
    }
  }
`)

/** Milliseconds after which the server wants to hear again that somebody types. */
const repeatMs = 3_000

/** Gives what the composer calls with each key: the others in the session see that somebody types. */
export function useTellTyping(sessionId: string, isShared: boolean) {
  const [tell] = useMutation(setTyping)
  const toldAt = useRef(0)
  return useCallback(
    (text: string) => {
      if (!isShared) return
      const isTyping = text.trim() !== ''
      const now = Date.now()
      if (isTyping ? now - toldAt.current < repeatMs : toldAt.current === 0) return
      toldAt.current = isTyping ? now : 0
      // Nothing is lost where it does not arrive.
      tell({ variables: { input: { sessionId, isTyping } } }).catch(() => {})
    },
    [tell, sessionId, isShared],
  )
}
