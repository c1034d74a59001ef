import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SessionEvent } from '../../src/features/live/events.ts'
import { joined } from '../../src/features/live/session-source.ts'
import { joinedMaxLength } from '../../src/features/live/shared.ts'

/** What readers put together: the text of each reply, and the arguments of each call of a tool. */
function read(events: readonly SessionEvent[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const told of events) {
    if ('reason' in told) continue
    if (told.type === 'TextDelta') {
      const before = texts.get(told.messageId) ?? ''
      expect(told.offset).toBe(before.length)
      texts.set(told.messageId, before + told.text)
    } else if (told.type === 'ToolCallDelta') {
      const call = `${told.messageId} ${told.toolCallId}`
      texts.set(call, (texts.get(call) ?? '') + told.text)
    }
  }
  return texts
}

/** As a reader is told them that takes up to so many at a time. */
function join(events: readonly SessionEvent[], atMost: readonly number[]): SessionEvent[] {
  const told: SessionEvent[] = []
  let room = 0
  for (const event of events) {
    const last = told.at(-1)
    const one = room > 0 && last ? joined(last, event) : null
    if (one) told[told.length - 1] = one
    else told.push(event)
    room = one ? room - 1 : (atMost[told.length % atMost.length] ?? 0)
  }
  return told
}

const messageId = fc.constantFrom('one', 'two')
const text = fc.oneof(
  { arbitrary: fc.string({ maxLength: 2, unit: 'grapheme' }), weight: 20 },
  fc.nat({ max: joinedMaxLength }).map((length) => 'x'.repeat(length)),
)
const act = fc.oneof(
  { arbitrary: fc.record({ type: fc.constant('TextDelta' as const), messageId, text }), weight: 3 },
  {
    arbitrary: fc.record({
      type: fc.constant('ToolCallDelta' as const),
      ...{ messageId, text, toolCallId: fc.constantFrom('first', 'second') },
    }),
    weight: 6,
  },
  fc.record({
    type: fc.constant('ToolCallStarted' as const),
    ...{ messageId, toolCallId: fc.constantFrom('first', 'second'), name: fc.constant('tool') },
  }),
)

/** As the feed has them: text with its place in the reply, each event with its own cursor. */
const feed = fc.array(act, { maxLength: 60 }).map((acts): SessionEvent[] => {
  const lengths = new Map<string, number>()
  return acts.map((one, index) => {
    const told = { cursor: `epoch:${index + 1}:1`, at: new Date(index) }
    if (one.type !== 'TextDelta') return { ...told, ...one }
    const offset = lengths.get(one.messageId) ?? 0
    lengths.set(one.messageId, offset + one.text.length)
    return { ...told, ...one, offset }
  })
})

it('pieces of text and of arguments say the same joined as alone, in whatever order they come', () => {
  fc.assert(
    fc.property(feed, fc.array(fc.nat({ max: 20 }), { minLength: 1 }), (events, atMost) => {
      const told = join(events, atMost)
      expect(read(told)).toEqual(read(events))
      // Whoever comes back goes on from the last that it was told, and what is no text is told by itself.
      expect(told.at(-1)?.cursor).toBe(events.at(-1)?.cursor)
      const names = (of: readonly SessionEvent[]) =>
        of.flatMap((one) => ('type' in one && one.type === 'ToolCallStarted' ? one.cursor : []))
      expect(names(told)).toEqual(names(events))
    }),
    { numRuns: 300 },
  )
})

it('pieces that follow each other are one, up to a length', () => {
  const delta = (toolCallId: string, text: string): SessionEvent => ({
    ...{ cursor: text, at: new Date(0) },
    ...{ type: 'ToolCallDelta', messageId: 'one', toolCallId, text },
  })
  expect(joined(delta('first', '{"a":'), delta('first', '1}'))).toEqual({
    ...delta('first', '{"a":1}'),
    cursor: '1}',
  })
  expect(joined(delta('first', '{'), delta('second', '{'))).toBeNull()
  expect(joined(delta('first', 'x'), delta('first', 'x'.repeat(joinedMaxLength)))).toBeNull()
})
