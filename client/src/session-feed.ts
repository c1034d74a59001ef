import type { SessionEventsDocument } from './generated/graphql.ts'
import type { Requests } from './parley.ts'
import type { SessionEvent } from './session-state.ts'

/** More than is ever on its way at once; each is some 30 bytes. */
const rememberedAtMost = 1_000

type Options = {
  parley: Pick<Requests, 'subscribe'>
  /** The subscription, with `__typename` wherever its reader needs that. */
  document: typeof SessionEventsDocument
  sessionId: string
  /** The cursor to go on from; null for a snapshot first. */
  after: string | null
  signal: AbortSignal
}

/** The feed of a session over every cut, each event once: what comes again, whoever repeats it, is dropped. */
export async function* followSessionEvents(options: Options): AsyncGenerator<SessionEvent, void, void> {
  const { parley, document, sessionId, signal } = options
  let { after } = options
  const told = new Set<string>(after === null ? [] : [after])
  for await (const { sessionEvents: event } of parley.subscribe(document, () => ({ sessionId, after }), {
    signal,
  })) {
    const key = keyOf(event)
    if (told.has(key)) continue
    told.add(key)
    const [oldest = key] = told
    if (told.size > rememberedAtMost) told.delete(oldest)
    after = event.cursor
    yield event
  }
}

/** A snapshot may have the cursor of the event before it. */
const keyOf = ({ __typename, cursor }: SessionEvent) =>
  __typename === 'SessionSnapshot' ? `${__typename}:${cursor}` : cursor
