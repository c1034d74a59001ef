import type { Message } from '../../db/client.ts'
import type { Since } from '../../realtime/feed.ts'
import type { SessionEvent } from './events.ts'

/** A piece of one reply. `status` is STREAMING until the last piece, which tells how it ended. */
export type ReplyPiece = {
  cursor: string
  messageId: string
  offset: number
  text: string
  status: Message['status']
  finishReason: Message['finishReason']
}

/** The pieces of a reply that is being written, up to its end. */
export async function* replyPieces(
  events: AsyncIterable<SessionEvent>,
  message: Message,
): AsyncGenerator<ReplyPiece> {
  const messageId = message.id
  /** The length of the text so far; unknown to a reader that resumes before its first piece. */
  let length: number | undefined
  for await (const each of events) {
    const { cursor } = each
    if ('reason' in each) {
      const { status, finishReason, content } = each.messages.find(({ id }) => id === messageId) ?? message
      yield { cursor, messageId, offset: 0, text: content ?? '', status, finishReason }
      length = (content ?? '').length
      if (status !== 'STREAMING') return
    } else if (each.event.type === 'TextDelta' && each.event.messageId === messageId) {
      const { offset, text } = each.event
      yield { cursor, messageId, offset, text, status: 'STREAMING', finishReason: null }
      length = offset + text.length
    } else if (each.event.type === 'MessageUpdated' && each.event.message.id === messageId) {
      const { status, finishReason, content } = each.event.message
      if (status === 'STREAMING') continue
      // Words that were said while the log was away come with the end.
      const whole = content ?? ''
      const offset = length ?? whole.length
      yield { cursor, messageId, offset, text: whole.slice(offset), status, finishReason }
      return
    }
  }
}

/** What is left of a reply that is over, for a reader that has seen the feed up to `since`; all of it where that is unknown. */
export async function* lastPiece(
  message: Message,
  since: Since | null,
  cursor: string,
): AsyncGenerator<ReplyPiece> {
  const content = message.content ?? ''
  const missed = since?.events.find((event) => event.type === 'TextDelta' && event.messageId === message.id)
  const offset = since === null ? 0 : missed?.type === 'TextDelta' ? missed.offset : content.length
  const { id: messageId, status, finishReason } = message
  yield { cursor, messageId, offset, text: content.slice(offset), status, finishReason }
}
