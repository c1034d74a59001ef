import type {
  MessageFieldsFragment,
  PersonFieldsFragment,
  RunFieldsFragment,
  SessionEventsSubscription,
  SessionFieldsFragment,
} from './generated/graphql.ts'

export type Message = MessageFieldsFragment
export type Run = RunFieldsFragment
export type Person = PersonFieldsFragment
export type SessionDetails = SessionFieldsFragment
export type SessionEvent = SessionEventsSubscription['sessionEvents']

/** A session as it stands at one place of its feed. Never changed: each event makes a new one. */
export type SessionState = {
  readonly session: SessionDetails
  /** Oldest first, each with all of its text so far. */
  readonly messages: readonly Message[]
  /** Those that have not ended; the first one is being answered, or waits for results of tools. */
  readonly runs: readonly Run[]
  /** Who has the session open: everybody, or 100 of them. */
  readonly present: readonly Person[]
  /** How many they are in all. */
  readonly presentCount: number
  /** Who is typing, the reader included. */
  readonly typing: readonly Person[]
  readonly isDeleted: boolean
  /** Some text is missing, or the feed has skipped something: the session has to be read anew. */
  readonly hasGap: boolean
  /** The place of the feed; `events({ after: cursor })` go on from here. */
  readonly cursor: string
}

/** What the state is after the event. An event that it holds already changes nothing. */
export function applyEvent(state: SessionState, event: SessionEvent): SessionState {
  return { ...state, ...changeOf(state, event), cursor: event.cursor }
}

function changeOf(state: SessionState, event: SessionEvent): Partial<SessionState> {
  switch (event.__typename) {
    case 'SessionSnapshot':
      return { session: event.session, messages: event.messages, hasGap: event.reason === 'GAP' }
    case 'MessageAdded':
    case 'MessageUpdated':
      return { messages: withMessage(state.messages, event.message) }
    case 'MessageRemoved':
      return { messages: state.messages.filter(({ id }) => id !== event.messageId) }
    case 'TextDelta':
      return withText(state, event)
    case 'ToolCallFinished':
      return { messages: withToolCall(state.messages, event) }
    case 'RunQueued':
    case 'RunStarted':
    case 'RunRequiresAction':
      return { runs: withRun(state.runs, event.run) }
    case 'RunFinished':
      return { runs: state.runs.filter(({ id }) => id !== event.run.id) }
    case 'SessionUpdated':
      return { session: event.session }
    case 'SessionDeleted':
      return { isDeleted: true }
    case 'PresenceChanged':
      return { present: event.present, presentCount: event.presentCount }
    case 'TypingChanged':
      return { typing: event.typing }
    case 'MemoryChanged':
    case 'ToolCallStarted':
    case 'ToolCallDelta':
      return {}
  }
}

/** In its place by `seq`. One that is older than all that were read is not part of what was read. */
function withMessage(messages: readonly Message[], message: Message): readonly Message[] {
  const index = messages.findIndex(({ id }) => id === message.id)
  if (index >= 0) return messages.with(index, latest(messages[index], message))
  const place = messages.findLastIndex(({ seq }) => seq < message.seq) + 1
  return place === 0 && messages.length > 0 ? messages : messages.toSpliced(place, 0, message)
}

/** A reply that is being written may be told as it was stored, which is shorter than what has been said of it. */
function latest(known: Message | undefined, told: Message): Message {
  const said = known?.content ?? ''
  const isBehind = told.status === 'STREAMING' && said.startsWith(told.content ?? '')
  return isBehind ? { ...told, content: said } : told
}

type TextDelta = Extract<SessionEvent, { __typename: 'TextDelta' }>

/** What of the delta is known already is left out; where something before it is missing, it is a gap. */
function withText({ messages }: SessionState, { messageId, offset, text }: TextDelta): Partial<SessionState> {
  const index = messages.findIndex(({ id }) => id === messageId)
  const message = messages[index]
  if (!message) return {}
  const content = message.content ?? ''
  if (offset > content.length) return { hasGap: true }
  const news = text.slice(content.length - offset)
  return { messages: messages.with(index, { ...message, content: content + news }) }
}

type ToolCallFinished = Extract<SessionEvent, { __typename: 'ToolCallFinished' }>

function withToolCall(messages: readonly Message[], event: ToolCallFinished): readonly Message[] {
  const call = { id: event.toolCallId, name: event.name, arguments: event.arguments }
  return messages.map((message) =>
    message.id === event.messageId
      ? { ...message, toolCalls: [...message.toolCalls.filter(({ id }) => id !== call.id), call] }
      : message,
  )
}

function withRun(runs: readonly Run[], run: Run): readonly Run[] {
  const index = runs.findIndex(({ id }) => id === run.id)
  return index < 0 ? [...runs, run] : runs.with(index, run)
}
