import { createStream, type Stream } from './async.ts'
import { ParleyError } from './errors.ts'
import {
  CancelSessionRunsDocument,
  EditMessageDocument,
  RegenerateMessageDocument,
  type RegenerateMessageInput,
  SendMessageDocument,
  type SendMessageInput,
  SessionDocument,
  SessionEventsDocument,
  SubmitToolResultsDocument,
  type ToolResultInput,
} from './generated/graphql.ts'
import { withClientId } from './operations.ts'
import type { Requests } from './parley.ts'
import { type Asked, createReply, type Reply } from './reply.ts'
import { followSessionEvents } from './session-feed.ts'
import { applyEvent, type SessionEvent, type SessionState } from './session-state.ts'

type Signal = { signal?: AbortSignal | undefined }

export type SendOptions = Omit<SendMessageInput, 'sessionId' | 'content' | 'wait'> & Signal
export type RegenerateOptions = Omit<RegenerateMessageInput, 'messageId'> & Signal

/** One session, by its id. Nothing is read or held before it is asked for. */
export type Session = {
  readonly id: string
  /** Reads it with its last messages, 50 by default and at most 200; NOT_FOUND where it is not there for you. */
  read(options?: Signal & { last?: number }): Promise<SessionState>
  /**
   * Its live feed, each event once: after a cut it goes on after the last one that was given, and what comes again is
   * dropped. Without `after` it begins with a snapshot.
   * A snapshot with the reason GAP says that events were missed, and stands in their place. Ends when the session is
   * deleted or you no longer take part in it.
   */
  events(options?: Signal & { after?: string | null }): Stream<SessionEvent>
  /** Its state now and after every event, without gaps: it is read anew where the feed has one. */
  watch(options?: Signal & { last?: number }): Stream<SessionState>
  /**
   * Sends a message and gives a handle on the reply, at once. It is sent again when the network fails, with one
   * `clientId`, so that it arrives once.
   */
  send(content: string, options?: SendOptions): Reply
  /** Puts this text in the place of a message of a user, and has it answered; what followed is replaced. */
  edit(messageId: string, content: string, options?: Signal & { clientId?: string }): Reply
  /** Has a reply written anew; what followed is replaced. */
  regenerate(messageId: string, options?: RegenerateOptions): Reply
  /** Gives a run that waits for them the results of all its tool calls; it goes on with this reply. Sent once only. */
  submitToolResults(runId: string, results: ToolResultInput[], options?: Signal): Reply<Asked>
  /** Stops the reply that is being written and all that wait. */
  stop(options?: Signal): Promise<void>
}

export function createSessionHandle(parley: Requests, id: string): Session {
  const read: Session['read'] = async ({ last = 50, signal } = {}) => {
    const { session: found } = await parley.request(SessionDocument, { sessionId: id, last }, { signal })
    if (!found) throw new ParleyError('NOT_FOUND', `There is no session ${id}, or you do not see it.`)
    const { cursor, messages, activeRun, queuedRuns, present, presentCount, typing, ...session } = found
    const runs = activeRun ? [activeRun, ...queuedRuns] : queuedRuns
    const { nodes } = messages
    const people = { present, presentCount, typing }
    return { session, messages: nodes, runs, ...people, isDeleted: false, hasGap: false, cursor }
  }

  const follow = (after: string | null, signal: AbortSignal) =>
    followSessionEvents({ parley, document: SessionEventsDocument, sessionId: id, after, signal })

  async function* states(last: number, signal: AbortSignal) {
    for (let isWhole = false; !isWhole; ) {
      let state = await read({ last, signal })
      yield state
      isWhole = true
      for await (const event of follow(state.cursor, signal)) {
        state = applyEvent(state, event)
        isWhole = !state.hasGap
        if (!isWhole) break
        yield state
      }
    }
  }

  const replyOf = <Stored extends Asked>(
    signal: AbortSignal | undefined,
    ask: (options: Signal) => Promise<Stored>,
  ) => createReply({ parley, ask: (signal) => ask({ signal }), signal })

  return {
    id,
    read,
    events: ({ after = null, signal } = {}) => createStream((ending) => follow(after, ending), signal),
    watch: ({ last = 50, signal } = {}) => createStream((ending) => states(last, ending), signal),
    send(content, { signal, ...options } = {}) {
      const input = withClientId({ ...options, sessionId: id, content })
      return replyOf(signal, (until) => parley.mutate(SendMessageDocument, input, until))
    },
    edit(messageId, content, { signal, ...options } = {}) {
      const input = withClientId({ ...options, messageId, content })
      return replyOf(signal, (until) => parley.mutate(EditMessageDocument, input, until))
    },
    regenerate(messageId, { signal, ...options } = {}) {
      const input = withClientId({ ...options, messageId })
      return replyOf(signal, (until) => parley.mutate(RegenerateMessageDocument, input, until))
    },
    submitToolResults: (runId, results, { signal } = {}) =>
      replyOf(signal, (until) => parley.mutate(SubmitToolResultsDocument, { runId, results }, until)),
    async stop({ signal } = {}) {
      await parley.mutate(CancelSessionRunsDocument, { sessionId: id }, { signal, isRepeatable: true })
    },
  }
}
