import type { SessionMessage } from '@parley/client/apollo'
import { useEffect, useRef, useState } from 'react'

/** Characters of a reply that are read out when it has ended; the rest is for the reader to go to. */
const readOutAtMost = 300

/** Tells a screen reader when a reply begins and, once, how it ended; not each word. */
export function Announcer({ messages }: { messages: readonly SessionMessage[] }) {
  const last = messages.findLast(({ role }) => role === 'ASSISTANT')
  const [text, setText] = useState('')
  const wasStreaming = useRef<string | null>(null)
  const { id, status, content } = last ?? {}
  useEffect(() => {
    if (status === 'STREAMING') {
      if (wasStreaming.current !== id) setText('A reply is being written.')
      wasStreaming.current = id ?? null
    } else if (id && wasStreaming.current === id) {
      wasStreaming.current = null
      setText(
        `${status === 'COMPLETE' ? 'Reply' : 'The reply has stopped'}: ${content?.slice(0, readOutAtMost) ?? ''}`,
      )
    }
  }, [id, status, content])
  return (
    <div className="visually-hidden" role="status">
      {text}
    </div>
  )
}
