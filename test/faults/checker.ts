import type { Acknowledged, FeedEvent, Observation, StoredSession } from './history.ts'
import type { ModelCall } from './model.ts'
import type { Freeze } from './nodes.ts'

/**
 * Decides, when all is over, whether what was promised was kept: from what readers wrote down, what was acknowledged,
 * what is stored and what the model was asked. It shares nothing with the product; each violation is a sentence.
 */
export type Evidence = {
  observations: readonly (readonly Observation[])[]
  acknowledged: readonly Acknowledged[]
  sessions: readonly StoredSession[]
  calls: readonly ModelCall[]
  /** Of each node. */
  freezes: readonly (readonly Freeze[])[]
  /** The sessions of the readers, by the name of each. */
  sessionOf: ReadonlyMap<string, string>
  /** Whether readers were there to the end, so that each must hold what is stored. */
  areReadersComplete: boolean
}

export function violationsIn(evidence: Evidence): string[] {
  const { observations, sessions, sessionOf, areReadersComplete } = evidence
  const found: string[] = []
  const longest = new Map<string, string>()
  for (const seen of observations) {
    const reader = seen[0]?.reader ?? ''
    const held = replay(seen, (fault) => found.push(`${reader}: ${fault}`), longest)
    const stored = sessions.find(({ id }) => id === sessionOf.get(reader))
    if (areReadersComplete && stored) compare(reader, held, stored, found)
  }
  for (const session of sessions) checkSession(session, longest, found)
  checkSends(evidence, found)
  return found
}

type Held = Map<string, { seq: number; status: string; text: string }>

/** Walks through what one reader saw, as a client would that trusts the feed. */
function replay(
  seen: readonly Observation[],
  fault: (text: string) => void,
  longest: Map<string, string>,
): Held {
  let held: Held = new Map()
  const finished = new Set<string>()
  let cursor: [string, number] | undefined
  for (const one of seen) {
    if (one.type === 'attached') continue
    const { event } = one
    const [epoch = '', offset] = event.cursor.split(':')
    const position: [string, number] = [epoch, Number(offset)]
    if (event.__typename === 'SessionSnapshot') {
      if (event.reason === 'START' && cursor) fault('a START although it came with a cursor')
      held = new Map()
      for (const message of event.messages) take(held, message)
    } else {
      if (!cursor) fault(`begins with ${event.__typename} instead of a snapshot`)
      else if (cursor[0] !== epoch) fault(`${event.__typename} of another epoch without a snapshot`)
      else if (position[1] <= cursor[1]) fault(`${event.__typename} at ${position[1]} after ${cursor[1]}`)
      apply(event, held, finished, fault)
    }
    cursor = position
    for (const [id, { text }] of held) if (text.length > (longest.get(id)?.length ?? 0)) longest.set(id, text)
  }
  return held
}

const take = (held: Held, message: { id: string; seq: number; status: string; content: string | null }) =>
  held.set(message.id, { seq: message.seq, status: message.status, text: message.content ?? '' })

function apply(event: FeedEvent, held: Held, finished: Set<string>, fault: (text: string) => void): void {
  const message = held.get(event.messageId ?? event.message?.id)
  if (event.__typename === 'MessageAdded') {
    const { seq } = event.message
    if (message) fault(`the message ${seq} was added twice`)
    if ([...held.values()].some((other) => other.seq >= seq))
      fault(`the message ${seq} came after a later one`)
    take(held, event.message)
  } else if (event.__typename === 'MessageRemoved') held.delete(event.messageId)
  else if (event.__typename === 'RunFinished') {
    if (finished.has(event.run.id)) fault(`the run ${event.run.id} finished twice`)
    finished.add(event.run.id)
  } else if (event.__typename === 'TextDelta' || event.__typename === 'MessageUpdated') {
    if (!message) fault(`${event.__typename} of a message that was never told`)
    else if (event.__typename === 'TextDelta') grow(message, event, fault)
    else {
      const whole: string = event.message.content ?? ''
      if (message.status === 'STREAMING' && !whole.startsWith(message.text))
        fault(`the message ${message.seq} ends without words that were told`)
      take(held, event.message)
    }
  }
}

function grow(
  message: { seq: number; status: string; text: string },
  delta: FeedEvent,
  fault: (text: string) => void,
) {
  if (message.status !== 'STREAMING') fault(`text of the message ${message.seq} after its end`)
  if (delta.offset !== message.text.length)
    fault(
      `the message ${message.seq} has ${message.text.length} units of text, the next are at ${delta.offset}`,
    )
  message.text += delta.text
}

function compare(reader: string, held: Held, { messages }: StoredSession, found: string[]): void {
  const last = messages.slice(-50)
  for (const { id, seq, status, content } of last) {
    const seen = held.get(id)
    if (!seen) found.push(`${reader}: never saw the message ${seq}`)
    else if (seen.status !== status || seen.text !== (content ?? ''))
      found.push(
        `${reader}: holds the message ${seq} as ${seen.status}, ${seen.text.length} units; stored is ${status}, ${content?.length}`,
      )
  }
}

const final = new Set(['COMPLETED', 'FAILED', 'CANCELLED', 'INTERRUPTED'])
const ended = new Set(['COMPLETE', 'FAILED', 'CANCELLED', 'INTERRUPTED'])

function checkSession(
  { id, messages, runs }: StoredSession,
  longest: Map<string, string>,
  found: string[],
): void {
  messages.forEach(({ seq }, index) => {
    if (seq !== index + 1) found.push(`${id}: the message at place ${index + 1} has the number ${seq}`)
  })
  for (const run of runs)
    if (!final.has(run.status)) found.push(`${id}: the run ${run.id} is still ${run.status}`)
  for (const { id: messageId, seq, status, content, role } of messages) {
    if (role === 'ASSISTANT' && !ended.has(status)) found.push(`${id}: the reply ${seq} is still ${status}`)
    const seen = longest.get(messageId) ?? ''
    if (!(content ?? '').startsWith(seen))
      found.push(`${id}: the message ${seq} has ${content?.length} units stored, a reader saw ${seen.length}`)
  }
}

/** When the first word of each reply was seen by anybody. */
function firstWords(observations: Evidence['observations']): Map<string, number> {
  const first = new Map<string, number>()
  for (const one of observations.flat()) {
    if (one.type !== 'event' || one.event.__typename !== 'TextDelta') continue
    const { messageId } = one.event
    first.set(messageId, Math.min(first.get(messageId) ?? Infinity, one.atMs))
  }
  return first
}

/**
 * What a node was just asking when it was frozen reaches the model when it wakes: no look before the call can prevent
 * that, and nothing of the answer is taken.
 */
function wasUnderWay({ startedAtMs, node }: ModelCall, seenAtMs: number, freezes: Evidence['freezes']) {
  const own = freezes[node] ?? []
  const awakeMsSince = (sinceMs: number) =>
    own.reduce(
      (leftMs, { fromMs, toMs }) =>
        leftMs - Math.max(Math.min(toMs, startedAtMs) - Math.max(fromMs, sinceMs), 0),
      startedAtMs - sinceMs,
    )
  return own.some(({ fromMs }) => fromMs < seenAtMs && awakeMsSince(fromMs) < wakingMs)
}

/** What a node needs on a busy machine until it has run what it had begun; it may be frozen once more meanwhile. */
const wakingMs = 500

/** One key, one message, one run, and no call of the model after a word of the reply had come. */
function checkSends(
  { acknowledged, sessions, calls, freezes, observations }: Evidence,
  found: string[],
): void {
  const seenAtMs = firstWords(observations)
  const byKey = Map.groupBy(acknowledged, ({ clientId }) => clientId)
  for (const [clientId, copies] of byKey) {
    for (const field of ['userMessageId', 'assistantMessageId', 'runId'] as const)
      if (new Set(copies.map((copy) => copy[field])).size > 1)
        found.push(`${clientId}: copies differ in ${field}`)
    const { sessionId, content, userMessageId, assistantMessageId } = copies[0] as Acknowledged
    const session = sessions.find(({ id }) => id === sessionId)
    if (!session) continue
    const stored = session.messages.filter((message) => message.clientId === clientId)
    if (stored.length !== 1) found.push(`${clientId}: acknowledged, and stored ${stored.length} times`)
    else if (stored[0]?.id !== userMessageId || stored[0]?.content !== content)
      found.push(`${clientId}: stored is another message than was acknowledged`)
    const runs = session.runs.filter((run) => run.userMessageId === userMessageId)
    if (runs.length !== 1) found.push(`${clientId}: ${runs.length} runs`)
    const seen = seenAtMs.get(assistantMessageId) ?? Infinity
    const asks = calls.filter(
      (call) => call.key === clientId && call.startedAtMs > seen && !wasUnderWay(call, seen, freezes),
    )
    for (const { node, startedAtMs } of asks) {
      const woken = (freezes[node] ?? []).map(({ toMs }) => Math.round(startedAtMs - toMs)).join(', ')
      const late = `${Math.round(startedAtMs - seen)} ms after a word had come`
      found.push(
        `${clientId}: the model was asked again ${late}, by the node ${node}, woken [${woken}] ms before`,
      )
    }
  }
}
