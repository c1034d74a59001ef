import type { Message } from '../../db/client.ts'
import type { Step } from '../../realtime/fan-out-source.ts'
import type { Since } from '../../realtime/feed.ts'
import type { SessionEvent } from './events.ts'
import { narrowed, type SessionSource } from './session-source.ts'
import { joinedMaxLength, type LiveSource } from './shared.ts'

/** A piece of one reply. `status` is STREAMING until the last piece, which tells how it ended. */
export type ReplyPiece = {
  cursor: string
  messageId: string
  offset: number
  text: string
  status: Message['status']
  finishReason: Message['finishReason']
}

/**
 * The pieces of a reply that is being written, up to its end. A place is a cursor of the feed and the length of the text
 * so far, which is not known to a reader that resumes before its first piece.
 */
export const replyOf = (source: SessionSource, message: Message): LiveSource<Step<ReplyPiece>, ReplyPiece> =>
  narrowed(source, (after) => begin(message.id, after), joined)

const placeForm = /^([^/]*)(?:\/(\d*))?$/

function begin(messageId: string, after: string | null) {
  const [, cursor = null, known] = (after !== null && placeForm.exec(after)) || []
  let length = known ? Number(known) : undefined

  function narrow(step: Step<SessionEvent>): Step<ReplyPiece>[] {
    const { value, ...rest } = step
    const piece = value && pieceOf(value, messageId, length)
    if (piece) length = piece.offset + piece.text.length
    const isOver = value && (piece ? piece.status !== 'STREAMING' : isGone(value, messageId))
    const isLast = rest.isLast === true || isOver === true
    return [{ ...rest, isLast, cursor: `${step.cursor}/${length ?? ''}`, ...(piece && { value: piece }) }]
  }

  return { cursor, narrow }
}

function pieceOf(told: SessionEvent, messageId: string, length: number | undefined): ReplyPiece | null {
  const { cursor } = told
  if ('reason' in told) {
    const found = told.messages.find(({ id }) => id === messageId)
    if (!found) return null
    const { status, finishReason, content } = found
    return { cursor, messageId, offset: 0, text: content ?? '', status, finishReason }
  }
  if (told.type === 'TextDelta' && told.messageId === messageId) {
    const { offset, text } = told
    return { cursor, messageId, offset, text, status: 'STREAMING', finishReason: null }
  }
  if (told.type !== 'MessageUpdated' || told.message.id !== messageId) return null
  const { status, finishReason, content } = told.message
  if (status === 'STREAMING') return null
  // Words that were said while the log was away come with the end.
  const whole = content ?? ''
  const offset = length ?? whole.length
  return { cursor, messageId, offset, text: whole.slice(offset), status, finishReason }
}

/** The reply was removed, and nothing more is told of it. */
const isGone = (told: SessionEvent, messageId: string) =>
  'reason' in told || (told.type === 'MessageRemoved' && told.messageId === messageId)

function joined(first: ReplyPiece, second: ReplyPiece): ReplyPiece | null {
  const text = first.text + second.text
  const isNext = first.offset + first.text.length === second.offset
  if (!isNext || second.status !== 'STREAMING' || text.length > joinedMaxLength) return null
  return { ...second, offset: first.offset, text }
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
