import { useGraphiQL } from '@graphiql/react'
import { useEffect, useRef } from 'react'

/** A reply as far as it has been seen; `start` is the offset at which watching began. */
export type Reply = { messageId: string; start: number; text: string }

type TextDelta = { messageId: string; offset: number; text: string }

/** The reply after one more event of a subscription; an event that carries no text changes nothing. */
export function appendDelta(reply: Reply | undefined, event: unknown): Reply | undefined {
  if (!isTextDelta(event)) return reply
  const { messageId, offset, text } = event
  const follows = reply?.messageId === messageId && reply.start + reply.text.length === offset
  return follows ? { ...reply, text: reply.text + text } : { messageId, start: offset, text }
}

/** Shows the words of a watched reply as one text: the result pane above it shows the latest event alone. */
export function LiveReply({ reply }: { reply: Reply | undefined }) {
  const isSubscribed = useGraphiQL((state) => state.subscription !== null)
  const box = useRef<HTMLParagraphElement>(null)
  useEffect(() => {
    if (reply) box.current?.scrollTo({ top: box.current.scrollHeight })
  }, [reply])
  if (!reply || !isSubscribed) return null
  return (
    <section className="live-reply" aria-label="Reply so far">
      <h2>Reply so far</h2>
      <p ref={box}>
        {reply.start > 0 && '… '}
        {reply.text}
      </p>
    </section>
  )
}

function isTextDelta(event: unknown): event is TextDelta {
  if (typeof event !== 'object' || event === null) return false
  return (
    '__typename' in event && event.__typename === 'TextDelta' && 'messageId' in event && 'offset' in event
  )
}
