import { ParleyError } from './errors.ts'
import { CancelRunDocument, ReplyTextDocument, RunDocument } from './generated/graphql.ts'
import { pause } from './network.ts'
import type { Requests } from './parley.ts'
import { backoffMs } from './retry.ts'
import type { Message, Run } from './session-state.ts'

/** What the server stored of what was asked: it is safe from here on, whatever becomes of this client. */
export type Asked = { assistantMessage: Message; run: Run }
/** The same of a message that is to be answered. */
export type Sent = Asked & { userMessage: Message }

/** The reply as it stands at the end of its run, or while that waits for results of tools: `run.status` tells. */
export type FinishedReply = { message: Message; run: Run }

/**
 * A reply that is being written. Iterating gives its text piece by piece and ends with it; each iteration gives all of
 * it. Whatever fails, fails `done` and every iteration. A reply that ends badly is no failure: see `run.status`.
 */
export type Reply<Stored extends Asked = Sent> = AsyncDisposable &
  AsyncIterable<string, void, void> & {
    /** Resolves when the server has stored what was asked. */
    readonly sent: Promise<Stored>
    /** Resolves when the run has ended, or waits for results of tools. */
    readonly done: Promise<FinishedReply>
    /** The text so far. */
    readonly text: string
    /** Stops the run, for everybody; the text so far stays. Resolves when the server was told. */
    stop(): Promise<void>
  }

type Options<Stored> = {
  parley: Requests
  ask: (signal: AbortSignal) => Promise<Stored>
  signal: AbortSignal | undefined
}

/** Asks, and follows the reply. To dispose it ends the following; the reply itself goes on. */
export function createReply<Stored extends Asked>({
  parley,
  ask,
  signal: given,
}: Options<Stored>): Reply<Stored> {
  const leaving = new AbortController()
  const signal = given ? AbortSignal.any([given, leaving.signal]) : leaving.signal
  let text = ''
  let isOver = false
  let change = Promise.withResolvers<void>()
  const tell = () => {
    change.resolve()
    change = Promise.withResolvers()
  }

  /** Reads the text of one message, which begins at `start` of all. Where a piece of it is missing it is read anew. */
  async function read(messageId: string, start: number) {
    for (let isWhole = false; !isWhole; ) {
      let after: string | null = null
      const pieces = parley.subscribe(ReplyTextDocument, () => ({ messageId, after }), { signal })
      isWhole = true
      for await (const { tokenStream: piece } of pieces) {
        isWhole = start + piece.offset <= text.length
        if (!isWhole) break
        after = piece.cursor
        text = text.slice(0, start + piece.offset) + piece.text
        tell()
      }
    }
  }

  /** A run that calls tools has a message for each round. */
  async function follow(): Promise<FinishedReply> {
    const { assistantMessage, run } = await sent
    let messageId = assistantMessage.id
    let start = 0
    for (let rounds = 0; ; rounds++) {
      await read(messageId, start)
      const { run: now } = await parley.request(RunDocument, { runId: run.id }, { signal })
      if (!now) throw new ParleyError('NOT_FOUND', 'The reply was removed.')
      const { assistantMessage: message } = now
      if (message.id !== messageId) {
        messageId = message.id
        start = text.length
      } else if (isSettled(now)) {
        text = text.slice(0, start) + (message.content ?? '')
        return { message, run: now }
      } else {
        // The end of the run, or its next message, is about to be stored.
        await pause(backoffMs(rounds), signal)
      }
    }
  }

  const sent = ask(signal)
  const done = follow().finally(() => {
    isOver = true
    tell()
  })
  // Whoever is interested waits for them; nobody has to.
  sent.catch(() => {})
  done.catch(() => {})

  return {
    sent,
    done,
    get text() {
      return text
    },
    async stop() {
      const { run } = await sent
      await parley.mutate(CancelRunDocument, { runId: run.id }, { isRepeatable: true })
    },
    async *[Symbol.asyncIterator]() {
      for (let read = 0; ; ) {
        const { promise: changed } = change
        if (read < text.length) {
          const piece = text.slice(read)
          read = text.length
          yield piece
        } else if (isOver) {
          await done
          return
        } else await changed
      }
    },
    async [Symbol.asyncDispose]() {
      leaving.abort(new ParleyError('CLOSED', 'Nobody follows the reply any more.'))
    },
  }
}

/** A run whose calls are all answered, such as those that the server makes by itself, is about to go on. */
const isSettled = ({ status, pendingToolCalls }: Run): boolean =>
  status === 'REQUIRES_ACTION' ? pendingToolCalls.length > 0 : status !== 'QUEUED' && status !== 'RUNNING'
