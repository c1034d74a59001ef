import { useGraphiQL } from '@graphiql/react'
import { useEffect, useRef } from 'react'
import { isRecord } from './storage.ts'

/** A reply as far as it has been seen; `start` is the offset at which watching began. */
export type Reply = { messageId: string; start: number; text: string }

type Part = { messageId: string; offset: number; text: string }
/** The reply after one more event of a subscription; an event that carries none of its text changes nothing. */
export function appendEvent(reply: Reply | undefined, event: unknown): Reply | undefined {
  const part = partOf(event)
  if (!part) return reply
  const { messageId, offset, text } = part
  const follows = reply?.messageId === messageId && reply.start + reply.text.length === offset
  return follows ? { ...reply, text: reply.text + text } : { messageId, start: offset, text }
}

/** The text that an event carries; undefined also where the user's own selection leaves out what that takes. */
function partOf(event: unknown): Part | undefined {
  if (!isRecord(event)) return undefined
  const part = event.__typename === 'TextDelta' ? event : streamingPart(event.messages)
  return isPart(part) ? part : undefined
}

/** Of a snapshot's messages: the one that is being written, with all of its text so far. */
function streamingPart(messages: unknown) {
  const streaming = Array.isArray(messages) && messages.find((message) => message?.status === 'STREAMING')
  return streaming && { messageId: streaming.id, offset: 0, text: streaming.content }
}

const isPart = (part: unknown): part is Part =>
  isRecord(part) &&
  typeof part.messageId === 'string' &&
  typeof part.offset === 'number' &&
  typeof part.text === 'string'

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
