import type { Mark } from './broker.ts'
import type { ChangeEvent, PresenceEvent } from './feed-events.ts'

/** The revision of the last change that was announced. */
export const revisionMark = 'revision'

/** The revision with which the run started that may tell something. */
export const fenceMark = 'fence'

/** How many events of a reply were told. */
export const countMark = (messageId: string) => `count:${messageId}`

/** How long the text of a reply is, as far as it was told. */
export const textMark = (messageId: string) => `text:${messageId}`

/** Up to which version it was told who is present, or types. */
export const versionMark = (type: PresenceEvent['type']) => `version:${type}`

/** The end or pause of a run shuts out whoever was still telling its reply; of one that never started there is nobody. */
export function marksOfEnd(event: ChangeEvent): Mark[] {
  const isEnd = event.type === 'RunFinished' || event.type === 'RunRequiresAction'
  if (!isEnd || event.run.startedAt === null) return []
  const messageId = String(event.run.assistantMessageId)
  return [
    { name: fenceMark, to: event.revision },
    { name: countMark(messageId), to: null },
    { name: textMark(messageId), to: null },
  ]
}
