import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Said, turnsOf } from '../../src/features/context/conversation.ts'
import { type Extra, type Fitting, fitParts, type Part, sizeOf } from '../../src/features/context/fit.ts'
import type { ModelMessage } from '../../src/llm/provider.ts'

/** Conversations in which tools are called, and answered at once, later, or never in order with other calls. */
const conversation = fc
  .array(fc.record({ kind: fc.constantFrom('user', 'assistant', 'call', 'result'), text: fc.string() }), {
    maxLength: 40,
  })
  .map((steps) => {
    const open: string[] = []
    const said: Said[] = []
    for (const [index, { kind, text }] of steps.entries()) {
      const add = (message: ModelMessage) => said.push({ id: `m${index}`, seq: index + 1, message })
      if (kind === 'user') add({ role: 'user', content: text })
      else if (kind === 'assistant') add({ role: 'assistant', content: text, toolCalls: [] })
      else if (kind === 'call') {
        open.push(`c${index}`)
        add({ role: 'assistant', content: text, toolCalls: [{ id: `c${index}`, name: 'f', arguments: {} }] })
      } else {
        const toolCallId = open.shift()
        if (toolCallId) add({ role: 'tool', content: text, toolCallId })
      }
    }
    // A call without a result never comes this far.
    return said.filter(
      ({ message }) =>
        message.role !== 'assistant' || message.toolCalls.every(({ id }) => !open.includes(id)),
    )
  })

const toPart = ({ id, message }: Said): Part => ({ kind: 'MESSAGE', message, messageId: id })
const part = (kind: Part['kind'], role: 'system' | 'user') =>
  fc
    .string({ maxLength: 300 })
    .map((content): Part => ({ kind, message: { role, content }, messageId: null }))

/** Of pieces that stand in lines. */
const extraOf = (pieces: readonly string[]): Extra => ({
  pieces,
  toPart: (places) => {
    const content = ['What is known:', ...places.map((place) => pieces[place])].join('\n')
    return { kind: 'MEMORY', message: { role: 'user', content }, messageId: null }
  },
})
const extra = fc.array(fc.string({ maxLength: 200 }), { minLength: 1, maxLength: 5 }).map(extraOf)

const fitting = fc
  .record({
    said: conversation,
    system: fc.array(part('SYSTEM_PROMPT', 'system'), { maxLength: 1 }),
    question: part('QUESTION', 'user'),
    extras: fc.array(extra, { maxLength: 4 }),
    budget: fc.integer({ min: 0, max: 600 }),
    reserved: fc.integer({ min: 0, max: 30 }),
    maxMessages: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant(Number.POSITIVE_INFINITY)),
  })
  .map(({ said, question, ...rest }) => ({
    ...rest,
    said,
    current: [question],
    turns: turnsOf(said).map((turn) => turn.map(toPart)),
  }))

const count = (text: string) => Math.ceil(text.length / 3)
const ids = (parts: readonly Part[]) => parts.flatMap(({ messageId }) => messageId ?? [])

describe('turns', () => {
  it('hold every message in order, and each call with its results', async () => {
    await fc.assert(
      fc.property(conversation, (said) => {
        const turns = turnsOf(said)
        expect(turns.flat()).toEqual(said)
        for (const turn of turns) {
          const calls = turn.flatMap(({ message }) =>
            message.role === 'assistant' ? message.toolCalls.map(({ id }) => id) : [],
          )
          const results = turn.flatMap(({ message }) => (message.role === 'tool' ? message.toolCallId : []))
          expect(results.sort()).toEqual(calls.sort())
        }
      }),
    )
  })

  it('stay apart where each calls its tools by the same ids', () => {
    const toolCalls = [{ id: 'call_0', name: 'f', arguments: {} }]
    const turn = (content: string): ModelMessage[] => [
      { role: 'user', content },
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: `of ${content}`, toolCallId: 'call_0' },
      { role: 'assistant', content: 'Done', toolCalls: [] },
    ]
    const said = [...turn('one'), ...turn('two'), ...turn('three')].map(
      (message, index): Said => ({ id: `m${index}`, seq: index + 1, message }),
    )
    expect(turnsOf(said)).toEqual([said.slice(0, 4), said.slice(4, 8), said.slice(8)])
  })
})

describe('what is sent', () => {
  const check = (property: (asked: Fitting & { said: Said[] }, parts: Part[]) => void) =>
    fc.assert(fc.property(fitting, (asked) => property(asked, fitParts(asked, count).parts)))

  it('never passes the budget, unless what is always there does, which is told', async () => {
    await fc.assert(
      fc.property(fitting, (asked) => {
        const { parts, excess } = fitParts(asked, count)
        const size = asked.reserved + sizeOf(count, parts)
        const fixed = asked.reserved + sizeOf(count, [...asked.system, ...asked.current])
        expect(excess).toBe(fixed > asked.budget ? fixed : null)
        expect(size).toBeLessThanOrEqual(Math.max(asked.budget, fixed))
      }),
    )
  })

  it('begins with the system prompt and ends with the question', async () => {
    await check(({ system, current }, parts) => {
      expect(parts.slice(0, system.length)).toEqual(system)
      expect(parts.slice(-current.length)).toEqual(current)
    })
  })

  it('has the newest turns, whole, in their order and no more than asked for', async () => {
    await fc.assert(
      fc.property(fitting, (asked) => {
        const { parts, dropped } = fitParts(asked, count)
        const kept = ids(parts)
        expect([...ids(dropped.flat()), ...kept]).toEqual(asked.said.map(({ id }) => id))
        expect(kept.length).toBeLessThanOrEqual(asked.maxMessages)
        for (const turn of asked.turns) {
          const inside = ids(turn).filter((id) => kept.includes(id))
          expect([0, turn.length]).toContain(inside.length)
        }
      }),
    )
  })

  it('leaves half of the room to the conversation', async () => {
    await check((asked, parts) => {
      const { system, current, budget, reserved } = asked
      const left = budget - reserved - sizeOf(count, [...system, ...current])
      const chosen = parts.filter(({ kind }) => kind === 'MEMORY')
      expect(sizeOf(count, chosen)).toBeLessThanOrEqual(Math.max(0, left / 2))
    })
  })

  it('has of an extra part each piece that fits, whatever does not', () => {
    const { parts } = fitParts(
      {
        ...{ system: [], current: [], turns: [], reserved: 0, maxMessages: 1, budget: 80 },
        extras: [extraOf(['first', 'x'.repeat(300), 'third']), extraOf(['y'.repeat(300)]), extraOf(['last'])],
      },
      count,
    )
    expect(parts.map(({ message }) => message.content)).toEqual([
      'What is known:\nfirst\nthird',
      'What is known:\nlast',
    ])
  })
})
