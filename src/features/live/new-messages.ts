import type { Message } from '../../db/client.ts'
import type { Step } from '../../realtime/fan-out-source.ts'
import type { SessionEvent } from './events.ts'
import { narrowed, type SessionSource } from './session-source.ts'
import type { LiveSource } from './shared.ts'

/**
 * New messages of a session. Those that fell into a gap of the feed come from the snapshot that tells it, one by one: a
 * place is a cursor of the feed and the number of the last message before it.
 */
export const newMessagesOf = (source: SessionSource): LiveSource<Step<Message>, Message> =>
  narrowed(source, begin, () => null)

const placeForm = /^(.*)\/(\d+)$/

function begin(after: string | null) {
  const [, cursor = null, seq = '0'] = placeForm.exec(after ?? '') ?? []
  let before = cursor
  let lastSeq = Number(seq)

  function narrow(step: Step<SessionEvent>): Step<Message>[] {
    const { value, ...rest } = step
    const told = messagesIn(value).filter((message) => message.seq > lastSeq)
    if (value && 'reason' in value) lastSeq = Math.max(lastSeq, value.session.lastSeq)
    lastSeq = Math.max(lastSeq, told.at(-1)?.seq ?? 0)
    const from = before
    before = step.cursor
    const last = { ...rest, cursor: `${step.cursor}/${lastSeq}` }
    return told.length === 0
      ? [last]
      : told.map((message, index) =>
          index === told.length - 1
            ? { ...last, value: message }
            : { ...rest, cursor: `${from}/${message.seq}`, value: message },
        )
  }

  return { cursor, narrow }
}

function messagesIn(value: SessionEvent | undefined): readonly Message[] {
  if (value === undefined) return []
  if ('reason' in value) return value.reason === 'GAP' ? value.messages : []
  return value.type === 'MessageAdded' ? [value.message] : []
}
