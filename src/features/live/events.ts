import type { Memory, Message, Run, Session, User } from '../../db/client.ts'
import type { Delivery, StoredState } from '../../realtime/feed-deliveries.ts'
import { type FeedEvent, fromWire } from '../../realtime/feed-events.ts'

/** An event of the feed, its rows as rows again. */
export type ToldEvent =
  | { type: 'MessageAdded' | 'MessageUpdated'; message: Message }
  | { type: 'RunQueued' | 'RunStarted' | 'RunRequiresAction' | 'RunFinished'; run: Run }
  | { type: 'SessionUpdated'; session: Session }
  | { type: 'MemoryChanged'; key: string; memory: Memory | null }
  | ToldPresence
  | Exclude<
      PublicEvent,
      | { memory: unknown }
      | { message: unknown }
      | { run: unknown }
      | { session: unknown }
      | { users: unknown }
    >

export type ToldPresence = { type: 'PresenceChanged' | 'TypingChanged'; users: User[]; count: number }

/** What readers are told; the rest is for the feed itself. */
export type PublicEvent = Exclude<FeedEvent, { type: 'ParticipantRemoved' | 'Lost' }>

/** `messages` are the last ones, oldest first; a streaming one has all of its text so far. */
export type SessionSnapshot = {
  cursor: string
  at: Date
  reason: 'START' | 'GAP'
  session: Session
  messages: Message[]
}

/** With its place and its time: flat, so that a compiled operation reads the fields of a word without a call for each. */
export type Placed<Event> = Event & { cursor: string; at: Date }

export type SessionEvent = SessionSnapshot | Placed<ToldEvent>

/** A session and its last messages, as stored at one moment. */
export type SessionState = StoredState & { session: Session; messages: Message[] }

/** The messages with the text that the feed has told beyond what is stored. */
export const withText = (messages: readonly Message[], text: ReadonlyMap<string, string>): Message[] =>
  messages.map((message) => ({ ...message, content: text.get(message.id) ?? message.content }))

/** What a delivery is to readers; null for what is for the feed itself. */
export function toSessionEvent(delivery: Delivery<SessionState>): SessionEvent | null {
  const { cursor, at } = delivery
  if ('event' in delivery) {
    const { event } = delivery
    const isForFeed = event.type === 'ParticipantRemoved' || event.type === 'Lost'
    return isForFeed ? null : placed(event, cursor, at)
  }
  const { state, text } = delivery.snapshot
  const { reason } = delivery
  return { cursor, at, reason, session: state.session, messages: withText(state.messages, text) }
}

/** An event with its rows as rows. */
export function placed(event: PublicEvent, cursor: string, at: Date): Placed<ToldEvent> {
  // Almost all events are words.
  if (event.type === 'TextDelta') {
    const { type, messageId, offset, text } = event
    return { type, cursor, at, messageId, offset, text }
  }
  return { ...told(event), cursor, at }
}

function told(event: PublicEvent): ToldEvent {
  if ('message' in event) return { type: event.type, message: fromWire<Message>(event.message) }
  if ('memory' in event) return { ...event, memory: event.memory && fromWire<Memory>(event.memory) }
  if ('run' in event) return { type: event.type, run: fromWire<Run>(event.run) }
  if ('users' in event) return { ...event, users: event.users.map(fromWire<User>) }
  if ('session' in event) return { type: event.type, session: fromWire<Session>(event.session) }
  return event
}
