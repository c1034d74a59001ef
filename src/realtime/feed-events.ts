import type { JsonValue } from './broker.ts'

/**
 * What a feed tells. An event of a committed change carries the session's `revision` of that commit; `offset` of a delta
 * is the UTF-16 length of the text before it. In the log, what a reply tells has the `fence` of its run.
 */
export type FeedEvent =
  | { type: 'MessageAdded' | 'MessageUpdated'; revision: number; message: WireRow }
  | { type: 'MessageRemoved'; revision: number; messageId: string }
  | { type: 'TextDelta'; fence?: number; messageId: string; offset: number; text: string }
  | { type: 'ToolCallStarted'; fence?: number; messageId: string; toolCallId: string; name: string }
  | { type: 'ToolCallDelta'; fence?: number; messageId: string; toolCallId: string; text: string }
  | {
      type: 'ToolCallFinished'
      fence?: number
      messageId: string
      toolCallId: string
      name: string
      arguments: JsonValue
    }
  | {
      type: 'RunQueued' | 'RunStarted' | 'RunRequiresAction' | 'RunFinished'
      revision: number
      run: WireRow
    }
  | { type: 'SessionUpdated'; revision: number; session: WireRow }
  /** `memory` null: nothing is under the key any more. */
  | { type: 'MemoryChanged'; revision: number; key: string; memory: WireRow | null }
  | { type: 'SessionDeleted'; revision: number; sessionId: string }
  /** Who is present, or types, from now on; `count` of them, of whom the first ones are named. Nothing of it is stored. */
  | { type: 'PresenceChanged' | 'TypingChanged'; users: readonly WireRow[]; count: number }
  /** For the feeds of this user, not for their readers. */
  | { type: 'ParticipantRemoved'; revision: number; userId: string }
  /** Something was changed that nobody told: readers take a snapshot. */
  | { type: 'Lost'; revision: number }

/** What a reply tells while it is written; nothing of it is stored yet. */
export type ReplyEvent = Extract<
  FeedEvent,
  { type: 'TextDelta' | 'ToolCallStarted' | 'ToolCallDelta' | 'ToolCallFinished' }
>

/** As it is told: with the fence of the run that tells it. */
export type ToldReplyEvent = ReplyEvent & { fence: number }

export type PresenceEvent = Extract<FeedEvent, { type: 'PresenceChanged' | 'TypingChanged' }>

/** What announces a committed change. */
export type ChangeEvent = Exclude<FeedEvent, ReplyEvent | PresenceEvent>

/** A database row as JSON: stamps are ISO text in fields whose name ends in `At`, decimals are text. */
export type WireRow = { readonly id: string; readonly [field: string]: JsonValue }

/** Makes a row fit for the wire: a copy of its fields, of which only stamps and decimals are no JSON yet. */
export function toWire(row: { id: string }): WireRow {
  const wire: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(row)) if (value !== undefined) wire[field] = toJson(value)
  return wire as WireRow
}

const toJson = (value: unknown): unknown =>
  value !== null && typeof value === 'object' && 'toJSON' in value && typeof value.toJSON === 'function'
    ? value.toJSON()
    : value

/** The row again, its stamps as dates. */
export function fromWire<Row>(wire: WireRow): Row {
  const row: Record<string, unknown> = { ...wire }
  for (const [field, value] of Object.entries(wire))
    if (field.endsWith('At') && typeof value === 'string') row[field] = new Date(value)
  return row as Row
}
