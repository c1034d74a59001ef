import fc from 'fast-check'
import { getOperationAST, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import type { Context } from '../../src/graphql/context.ts'
import { newId } from '../../src/lib/ids.ts'
import { schema } from '../../src/schema.ts'
import { createPlans } from '../../src/server/plans.ts'
import { type Word, wordTemplateOf } from '../../src/server/word-template.ts'

const selections = [
  'cursor',
  'at',
  '__typename',
  'again: cursor later: at',
  '... on TextDelta { messageId offset text }',
  '... on TextDelta { text messageId twice: text other: messageId at: offset }',
  '... on SessionEvent { cursor }',
  '... @include(if: $yes) { at }',
  '... @skip(if: $yes) { place: cursor }',
  '... on MessageAdded { message { id } }',
  '...Words',
]

const unit = fc.nat(0xff_ff).map((code) => String.fromCharCode(code))
const words = fc.record({
  cursor: fc.stringMatching(/^[\w-]{12}:\d{1,6}:\d{1,4}$/),
  at: fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }),
  offset: fc.nat(2 ** 31 - 1),
  text: fc.string({ unit }),
})

describe('the template of the words of a reply', () => {
  it('gives what the operation gives, whatever it selects', () => {
    const plans = createPlans(schema)
    const operations = fc.record({
      chosen: fc.uniqueArray(fc.constantFrom(...selections), { minLength: 1 }),
      yes: fc.boolean(),
    })
    fc.assert(
      fc.property(operations, fc.array(words, { minLength: 1 }), ({ chosen, yes }, said) => {
        const document = parse(`
          subscription ($yes: Boolean = true) { sessionEvents(sessionId: "one") { ${chosen.join(' ')} } }
          fragment Words on TextDelta { spread: text ... { within: offset } }`)
        const operation = getOperationAST(document)
        if (!operation) throw new Error('There is no operation.')
        const plan = plans.of(document, operation)
        const execute = (word: Word) => JSON.stringify(plan.run(word, {} as Context, { yes }))
        const messageId = newId()
        const template = wordTemplateOf(messageId, execute)
        for (const each of said) {
          const word: Word = { type: 'TextDelta', messageId, ...each }
          expect(template?.jsonOf(word)).toBe(execute(word))
        }
      }),
      { numRuns: 60 },
    )
  })

  it.each<[string, (word: Word, calls: number) => string | null]>([
    ['what differs each time', ({ text }, calls) => JSON.stringify({ text, calls })],
    ['what a value becomes', ({ text }) => JSON.stringify({ text, length: text.length * Math.random() })],
    ['a value in other words', ({ text }) => JSON.stringify({ text: text.toUpperCase() })],
    ['a value in another form', ({ at }) => JSON.stringify({ at: at.getTime() })],
    ['nothing', () => null],
  ])('is not found where the operation gives %s', (_, execute) => {
    let calls = 0
    expect(
      wordTemplateOf(newId(), (word) => {
        calls += 1
        return execute(word, calls)
      }),
    ).toBeNull()
  })
})
