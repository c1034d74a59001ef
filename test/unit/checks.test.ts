import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  check,
  isStorable,
  isStorableDate,
  jsonObject,
  modelParameters,
  storable,
  text,
} from '../../src/lib/checks.ts'
import { ValidationError } from '../../src/lib/errors.ts'

/** What is wrong with it, or nothing. */
function faultsOf(schema: Parameters<typeof check>[0], value: unknown): string[] {
  try {
    check(schema, value)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ValidationError)
    return (error as ValidationError).fields.map(({ path, message }) =>
      path ? `${path}: ${message}` : message,
    )
  }
}

const notStorable = 'has a NUL character or half of a surrogate pair, which cannot be stored'

describe('a text', () => {
  it('is counted in characters, not in the halves of surrogate pairs', () => {
    expect(faultsOf(text({ max: 2 }), '😀😀')).toEqual([])
    expect(faultsOf(text({ max: 1 }), '😀😀')).toEqual(['has 2 characters; at most 1 are allowed'])
  })

  it('of whitespace alone is empty where some is needed', () => {
    for (const blank of ['', ' ', '\n\t\u00a0\u3000'])
      expect(faultsOf(text({ min: 1, max: 9 }), blank)).toEqual(['is empty; some text is needed'])
    expect(faultsOf(text({ max: 9 }), ' ')).toEqual([])
  })

  it('is refused when PostgreSQL cannot hold it', () => {
    for (const broken of ['\0', 'a\ud83d', '\ude00b', '\ude00\ud83d'])
      expect(faultsOf(text({ max: 9 }), broken)).toEqual([notStorable])
  })
})

describe('a JSON object', () => {
  const object = jsonObject({ maxBytes: 40 })

  it('is measured as UTF-8, to the byte', () => {
    expect(faultsOf(object, { a: 'x'.repeat(32) })).toEqual([])
    expect(faultsOf(object, { a: 'ä'.repeat(16) })).toEqual([])
    expect(faultsOf(object, { a: `${'ä'.repeat(16)}x` })).toEqual([
      'has 41 bytes as JSON; at most 40 are allowed',
    ])
  })

  it('is no list, text or null', () => {
    for (const other of [[], [1], 'a', 1, true, null, undefined])
      expect(faultsOf(object, other)).toEqual(['is not an object; allowed is a JSON object'])
  })

  it('has 20 levels at most, and any number more costs nothing', () => {
    const nested = (levels: number) => {
      let value: unknown = 1
      for (let level = 0; level < levels; level += 1) value = level % 2 ? [value] : { a: value }
      return { a: value }
    }
    const roomy = jsonObject({ maxBytes: 1_000 })
    expect(faultsOf(roomy, nested(19))).toEqual([])
    for (const levels of [20, 100_000])
      expect(faultsOf(roomy, nested(levels))).toEqual(['is nested too deeply; at most 20 levels are allowed'])
  })

  it('is refused for what cannot be stored, in values and keys, and for nothing that only spells it', () => {
    const roomy = jsonObject({ maxBytes: 1_000 })
    for (const broken of ['\0', '\ud800', '\udfff', '\udc00x']) {
      expect(faultsOf(roomy, { a: [{ b: broken }] })).toEqual([notStorable])
      expect(faultsOf(roomy, { [broken]: 1 })).toEqual([notStorable])
    }
    for (const fine of ['\\u0000', '\\ud800', '\\\\udc00', '😀', '\u0001'])
      expect(faultsOf(roomy, { [fine]: [fine] })).toEqual([])
  })

  it('is storable after `storable`, whatever a model wrote', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom('a', '\0', '\ud800', '\udc00') }),
        ),
        (value) => {
          expect(faultsOf(jsonObject({ maxBytes: 100_000 }), storable(value))).toEqual([])
        },
      ),
    )
    expect(storable('a\0b\ud800c')).toBe('ab\ufffdc')
    expect(isStorable('a\0')).toBe(false)
  })
})

it('model parameters are those that are known, and no prototype', () => {
  expect(
    faultsOf(modelParameters, { temperature: 0, topP: 1, topK: 1, maxOutputTokens: 1, stop: [], seed: -1 }),
  ).toEqual([])
  for (const name of ['__proto__', 'constructor', 'toString', 'temprature'])
    expect(faultsOf(modelParameters, JSON.parse(`{"${name}": 1}`))).toEqual([
      `has unknown parameters (${name}); allowed are temperature, topP, topK, maxOutputTokens, stop, seed`,
    ])
  expect(faultsOf(modelParameters, { temperature: 3, stop: [''] })).toEqual([
    'temperature: is above 2',
    'stop.0: is empty; some text is needed',
  ])
})

it('dates are those of four digits', () => {
  for (const stamp of ['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '2026-02-28T00:00:00Z'])
    expect(isStorableDate(new Date(stamp))).toBe(true)
  for (const stamp of [
    '0000-12-31T23:59:59.999Z',
    '+010000-01-01T00:00:00Z',
    '-000001-01-01T00:00:00Z',
    'never',
  ])
    expect([stamp, isStorableDate(new Date(stamp))]).toEqual([stamp, false])
})
