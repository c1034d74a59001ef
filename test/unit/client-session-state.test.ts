import { applyEvent, type Message, type Run, type SessionEvent, type SessionState } from '@parley/client'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const at = '2026-01-01T00:00:00.000Z'

const message = (given: Partial<Message> & { seq: number }): Message => ({
  id: `message_${given.seq}`,
  role: 'ASSISTANT',
  content: '',
  status: 'STREAMING',
  finishReason: null,
  toolCalls: [],
  toolCallId: null,
  model: null,
  inputTokens: null,
  outputTokens: null,
  cost: null,
  metadata: {},
  clientId: null,
  editedAt: null,
  createdAt: at,
  updatedAt: at,
  ...given,
})

const run = (id: string, status: Run['status']) => ({ id, status }) as Run

const empty: SessionState = {
  session: { id: 'session_1', title: null } as SessionState['session'],
  messages: [],
  runs: [],
  present: [],
  presentCount: 0,
  typing: [],
  isDeleted: false,
  hasGap: false,
  cursor: '0',
}

let place = 0
type Told = SessionEvent extends infer Event
  ? Event extends SessionEvent
    ? Omit<Event, 'cursor' | 'at'>
    : never
  : never
const told = (event: Told): SessionEvent => {
  place += 1
  return { cursor: String(place), at, ...event } as SessionEvent
}
const added = (given: Message) => told({ __typename: 'MessageAdded', message: given })
const updated = (given: Message) => told({ __typename: 'MessageUpdated', message: given })
const delta = (seq: number, offset: number, text: string) =>
  told({ __typename: 'TextDelta', messageId: `message_${seq}`, offset, text })

const stateAfter = (events: readonly SessionEvent[], state = empty) => events.reduce(applyEvent, state)
const contents = ({ messages }: SessionState) => messages.map(({ content }) => content)

describe('the state of a session after its events', () => {
  it('has the whole text, however it was cut into pieces and however many come again', () => {
    const cutText = fc
      .array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1 })
      .chain((pieces) => fc.tuple(fc.constant(pieces), fc.array(fc.nat(pieces.length - 1))))
    fc.assert(
      fc.property(cutText, ([pieces, again]) => {
        const deltas = pieces.map((text, index) => delta(1, pieces.slice(0, index).join('').length, text))
        // A reader that went back to an earlier place gets all from there on once more.
        const repeated = again.flatMap((from) => deltas.slice(from))
        const state = stateAfter([added(message({ seq: 1 })), ...deltas, ...repeated])
        expect(contents(state)).toEqual([pieces.join('')])
        expect(state.hasGap).toBe(false)
      }),
    )
  })

  it('adds what is new of a piece that begins within the text', () => {
    expect(
      contents(
        stateAfter([delta(1, 3, 'lo, you')], stateAfter([added(message({ seq: 1, content: 'Hello' }))])),
      ),
    ).toEqual(['Hello, you'])
  })

  it('has a gap where a piece begins beyond the text, and keeps what there was', () => {
    const state = stateAfter([added(message({ seq: 1, content: 'Hello' })), delta(1, 7, 'you')])
    expect(contents(state)).toEqual(['Hello'])
    expect(state.hasGap).toBe(true)
  })

  it('puts messages in their order and takes no text back', () => {
    const events = [
      added(message({ seq: 2 })),
      added(message({ seq: 3, role: 'USER', status: 'COMPLETE', content: 'And?' })),
      delta(2, 0, 'So it is'),
      // As it was stored a moment ago.
      updated(message({ seq: 2, content: 'So' })),
      added(message({ seq: 5 })),
      added(message({ seq: 4 })),
      // Older than the first that was read.
      updated(message({ seq: 1, content: 'Once' })),
    ]
    const state = stateAfter(events)
    expect(state.messages.map(({ seq }) => seq)).toEqual([2, 3, 4, 5])
    expect(contents(state)).toEqual(['So it is', 'And?', '', ''])
    const ended = updated(message({ seq: 2, content: 'So it is.', status: 'COMPLETE' }))
    expect(contents(stateAfter([ended], state))[0]).toBe('So it is.')
    const removed = told({ __typename: 'MessageRemoved', messageId: 'message_3' })
    expect(stateAfter([removed, removed], state).messages.map(({ seq }) => seq)).toEqual([2, 4, 5])
  })

  it('has the runs that have not ended, and the tool calls of a message once', () => {
    const call = told({
      __typename: 'ToolCallFinished',
      messageId: 'message_1',
      toolCallId: 'call_1',
      name: 'look_up',
      arguments: { word: 'tide' },
    })
    const state = stateAfter([
      added(message({ seq: 1 })),
      told({ __typename: 'RunQueued', run: run('run_1', 'QUEUED') }),
      told({ __typename: 'RunQueued', run: run('run_2', 'QUEUED') }),
      told({ __typename: 'RunStarted', run: run('run_1', 'RUNNING') }),
      call,
      call,
    ])
    expect(state.runs).toEqual([run('run_1', 'RUNNING'), run('run_2', 'QUEUED')])
    expect(state.messages[0]?.toolCalls).toEqual([
      { id: 'call_1', name: 'look_up', arguments: { word: 'tide' } },
    ])
    const finished = told({ __typename: 'RunFinished', run: run('run_1', 'COMPLETED') })
    expect(stateAfter([finished, finished], state).runs).toEqual([run('run_2', 'QUEUED')])
  })

  it('is that of a snapshot, and has a gap where one stands for what was missed', () => {
    const snapshot = (reason: 'START' | 'GAP') =>
      told({ __typename: 'SessionSnapshot', reason, session: empty.session, messages: [message({ seq: 9 })] })
    const before = stateAfter([added(message({ seq: 1 }))])
    expect(stateAfter([snapshot('START')], before)).toMatchObject({ messages: [{ seq: 9 }], hasGap: false })
    expect(stateAfter([snapshot('GAP')], before)).toMatchObject({ messages: [{ seq: 9 }], hasGap: true })
  })
})
