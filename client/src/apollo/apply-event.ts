import type { ApolloCache, Reference } from '@apollo/client'
import type { Modifier } from '@apollo/client/cache'
import {
  type MessageFieldsFragment,
  MessageFieldsFragmentDoc,
  RunFieldsFragmentDoc,
  type SessionEventsSubscription,
  SessionFieldsFragmentDoc,
} from '../generated/graphql.ts'
import type { CachedPage } from './merge-pages.ts'

export type FeedEvent = SessionEventsSubscription['sessionEvents']

/** A text that came does not follow what is known: the conversation must be read again. */
export class LostText extends Error {}

/** Brings the cache in step with one event of a session's feed. Taking an event twice changes nothing. */
export function applyEvent(cache: ApolloCache, sessionId: string, event: FeedEvent) {
  const session = cache.identify({ __typename: 'Session', id: sessionId })
  if (!session) return
  switch (event.__typename) {
    case 'SessionSnapshot':
      writeSession(cache, event.session)
      for (const message of event.messages) writeMessage(cache, message)
      return replaceTail(cache, session, event.messages)
    case 'SessionUpdated':
      return writeSession(cache, event.session)
    case 'MessageAdded':
      return takeMessage(cache, sessionId, event.message)
    case 'MessageUpdated':
      return writeMessage(cache, event.message)
    case 'MessageRemoved':
      return removeMessage(cache, session, event.messageId)
    case 'TextDelta':
      return addText(cache, event)
    case 'ToolCallStarted':
    case 'ToolCallFinished':
      return putToolCall(cache, event)
    case 'RunQueued':
    case 'RunStarted':
    case 'RunRequiresAction':
    case 'RunFinished':
      cache.writeFragment({ fragment: RunFieldsFragmentDoc, fragmentName: 'RunFields', data: event.run })
      return
    case 'PresenceChanged':
      putPeople(cache, session, 'present', event.present)
      return modify<number>(cache, session, 'presentCount', () => event.presentCount)
    case 'TypingChanged':
      return putPeople(cache, session, 'typing', event.typing)
  }
}

/**
 * Puts a message of a mutation's answer into the conversation, if that has been read: the feed may be cut off, and bring it
 * much later. What the feed has brought before the answer came is newer than the answer.
 */
export function takeAnswer(cache: ApolloCache, sessionId: string, message: MessageFieldsFragment): void {
  const known = {
    id: idOf(cache, message.id),
    fragment: MessageFieldsFragmentDoc,
    fragmentName: 'MessageFields',
  }
  if (!cache.readFragment(known)) takeMessage(cache, sessionId, message)
}

function takeMessage(cache: ApolloCache, sessionId: string, message: MessageFieldsFragment) {
  writeMessage(cache, message)
  const session = cache.identify({ __typename: 'Session', id: sessionId })
  if (session) addMessage(cache, session, message)
}

function writeSession(cache: ApolloCache, data: { __typename?: 'Session'; id: string }) {
  cache.writeFragment({
    fragment: SessionFieldsFragmentDoc,
    fragmentName: 'SessionFields',
    data: data as never,
  })
}

/** The feed has the last word: it may also shorten a text or take calls back, which other answers may not. */
function writeMessage(cache: ApolloCache, message: MessageFieldsFragment) {
  const { content, toolCalls, status } = message
  const id = idOf(cache, message.id)
  cache.writeFragment({ fragment: MessageFieldsFragmentDoc, fragmentName: 'MessageFields', data: message })
  modify<string | null>(cache, id, 'content', (known) =>
    status !== 'STREAMING' || (content ?? '').length > (known ?? '').length ? content : known,
  )
  if (status !== 'STREAMING') modify<unknown>(cache, id, 'toolCalls', () => toolCalls)
}

const idOf = (cache: ApolloCache, id: string) => cache.identify({ __typename: 'Message', id }) ?? id

type Details = Parameters<Modifier<unknown>>[1]

function modify<Value>(
  cache: ApolloCache,
  id: string,
  field: string,
  change: (known: Value, details: Details) => Value,
) {
  cache.modify<Record<string, unknown>>({
    id,
    fields: { [field]: (known, details) => change(known as Value, details) },
  })
}

type ListedMessages = CachedPage & { nodes: readonly Reference[] }

function modifyMessages(
  cache: ApolloCache,
  session: string,
  change: (page: ListedMessages, seqOf: (node: Reference) => number) => CachedPage,
) {
  modify<CachedPage>(cache, session, 'messages', (page, { storeFieldName, readField }) => {
    // Lists that a filter narrows are not kept live.
    if (storeFieldName !== 'messages:{}' || !page.nodes) return page
    return change({ ...page, nodes: page.nodes }, (node) => readField<number>('seq', node) ?? 0)
  })
}

function addMessage(cache: ApolloCache, session: string, { id, seq }: MessageFieldsFragment) {
  const added = { __ref: idOf(cache, id) }
  modifyMessages(cache, session, (page, seqOf) => {
    if (page.nodes.some(({ __ref }) => __ref === added.__ref)) return page
    const at = page.nodes.findLastIndex((node) => seqOf(node) < seq) + 1
    return { ...page, totalCount: (page.totalCount ?? 0) + 1, nodes: page.nodes.toSpliced(at, 0, added) }
  })
}

function removeMessage(cache: ApolloCache, session: string, messageId: string) {
  const removed = idOf(cache, messageId)
  modifyMessages(cache, session, (page) => {
    const nodes = page.nodes.filter(({ __ref }) => __ref !== removed)
    const gone = page.nodes.length - nodes.length
    return { ...page, totalCount: (page.totalCount ?? 0) - gone, nodes }
  })
}

/** From the first message of a snapshot on, the snapshot is all that there is. */
function replaceTail(cache: ApolloCache, session: string, messages: readonly MessageFieldsFragment[]) {
  const start = messages[0]?.seq ?? 0
  const tail = messages.map(({ id }) => ({ __ref: idOf(cache, id) }))
  modifyMessages(cache, session, (page, seqOf) => ({
    ...page,
    nodes: [...page.nodes.filter((node) => seqOf(node) < start), ...tail],
  }))
}

type TextDelta = Extract<FeedEvent, { __typename: 'TextDelta' }>

function addText(cache: ApolloCache, { messageId, offset, text }: TextDelta) {
  let isLost = false
  modify<string | null>(cache, idOf(cache, messageId), 'content', (known) => {
    const before = known ?? ''
    isLost = before.length < offset
    return isLost || before.length >= offset + text.length ? known : before.slice(0, offset) + text
  })
  if (isLost) throw new LostText()
}

type ToolCallEvent = Extract<FeedEvent, { __typename: 'ToolCallStarted' | 'ToolCallFinished' }>

function putToolCall(cache: ApolloCache, event: ToolCallEvent) {
  const { messageId, toolCallId: id, name } = event
  const call = { __typename: 'ToolCall', id, name, arguments: 'arguments' in event ? event.arguments : null }
  modify<readonly (typeof call)[]>(cache, idOf(cache, messageId), 'toolCalls', (calls) => {
    const others = calls.filter((known) => known.id !== id)
    return others.length < calls.length && call.arguments === null ? calls : [...others, call]
  })
}

type Person = { __typename?: 'User'; id: string }

function putPeople(cache: ApolloCache, session: string, field: string, people: readonly Person[]) {
  modify<unknown>(cache, session, field, (_known, { toReference }) =>
    people.map((person) => toReference({ __typename: 'User', ...person }, true)),
  )
}
