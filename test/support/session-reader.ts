import { expect } from 'vitest'
import type { TestApp } from './app.ts'
import type { Watch } from './watch.ts'

const messageFields = 'id seq role status content'

/** The whole live feed, with all that a client needs to keep a session. */
export const watchSession = `subscription ($sessionId: ID!, $after: Cursor) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename
    cursor
    ... on SessionSnapshot { reason session { messageCount title } messages { ${messageFields} } }
    ... on MessageAdded { message { ${messageFields} } }
    ... on MessageUpdated { message { ${messageFields} } }
    ... on TextDelta { messageId offset text }
    ... on RunQueued { run { id status } }
    ... on RunStarted { run { id status } }
    ... on RunFinished { run { id status } }
    ... on SessionUpdated { session { messageCount title } }
    ... on SessionDeleted { sessionId }
  }
}`

/** The session and the place of the feed that matches this read. */
export const readSession = `query ($id: ID!) {
  session(id: $id) { title messageCount messages(first: 200) { nodes { ${messageFields} } } cursor }
}`

export type ReadMessage = { id: string; seq: number; role: string; status: string; content: string | null }

/**
 * A client that takes offence: at a word that is lost or comes twice, at a message that it has already or does not
 * know yet, at cursors that do not rise.
 */
export type SessionReader = {
  readonly messages: ReadonlyMap<string, ReadMessage>
  readonly cursor: string | null
  readonly title: string | null
  /** Names of all events so far, in order; a snapshot counts by its reason. */
  readonly names: string[]
  /** Starts from a read of `session`. */
  // biome-ignore lint/suspicious/noExplicitAny: it comes as the API gave it
  start(session: any): void
  // biome-ignore lint/suspicious/noExplicitAny: as above
  take(event: any): void
  /** Takes what a subscription tells, to the first event that is the last. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  takeUntil(watch: Watch, isLast: (event: any) => boolean): Promise<void>
}

export function createSessionReader(): SessionReader {
  const messages = new Map<string, ReadMessage>()
  const names: string[] = []
  let cursor: string | null = null
  let title: string | null = null

  const replace = (all: readonly ReadMessage[]) => {
    messages.clear()
    for (const message of all) messages.set(message.id, message)
  }
  const advance = (next: string, mayJump: boolean) => {
    const [epoch, offset] = next.split(':')
    const [epochBefore, offsetBefore] = cursor?.split(':') ?? []
    if (!mayJump) {
      expect(epoch).toBe(epochBefore)
      expect(Number(offset)).toBeGreaterThan(Number(offsetBefore))
    }
    cursor = next
  }
  const reader: SessionReader = {
    messages,
    names,
    get cursor() {
      return cursor
    },
    get title() {
      return title
    },
    start(session) {
      replace(session.messages.nodes)
      cursor = session.cursor
      title = session.title
    },
    take(event) {
      names.push(event.reason ?? event.__typename)
      advance(event.cursor, event.__typename === 'SessionSnapshot')
      if (event.session) title = event.session.title
      if (event.__typename === 'SessionSnapshot') replace(event.messages)
      else if (event.__typename === 'MessageAdded') {
        expect(messages.get(event.message.id)).toBeUndefined()
        expect(event.message.seq).toBe(Math.max(0, ...[...messages.values()].map(({ seq }) => seq)) + 1)
        messages.set(event.message.id, event.message)
      } else if (event.__typename === 'MessageUpdated') {
        const before = messages.get(event.message.id)
        expect(before).toEqual({ ...event.message, status: 'STREAMING' })
        messages.set(event.message.id, event.message)
      } else if (event.__typename === 'TextDelta') {
        const before = messages.get(event.messageId)
        expect(before?.status).toBe('STREAMING')
        expect(before?.content?.length).toBe(event.offset)
        if (before) messages.set(before.id, { ...before, content: `${before.content}${event.text}` })
      }
    },
    async takeUntil(watch, isLast) {
      for (let index = 0; ; index += 1) {
        const event = await watch.at(index)
        expect(event, `The subscription ended first: ${JSON.stringify(watch.failure)}`).not.toBeNull()
        reader.take(event)
        if (isLast(event)) return
      }
    },
  }
  return reader
}

/** What a reader must hold in the end: the rows themselves, read past the feed. */
export async function storedMessages(app: TestApp, sessionId: string): Promise<ReadMessage[]> {
  const { session } = await app
    .api()
    .run(`query ($id: ID!) { session(id: $id) { messages(first: 200) { nodes { ${messageFields} } } } }`, {
      id: sessionId,
    })
  return session.messages.nodes
}

export const bySeq = (messages: Iterable<ReadMessage>) => [...messages].sort((a, b) => a.seq - b.seq)

/** Numbers from 0 up to 1 that are the same on every run. */
export function createRandom(seed: number) {
  let state = seed
  return () => {
    // The generator of Park and Miller.
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
