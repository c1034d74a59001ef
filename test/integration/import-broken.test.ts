import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { query } from '../support/postgres.ts'
import { documentOf, hello, type Imports, startImports } from './import.harness.ts'

let imports: Imports
const files: string[] = []
beforeAll(async () => {
  imports = await startImports()
  for (const name of ['chatgpt-conversations', 'librechat-flat', 'librechat-nested'])
    files.push(await readFile(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'))
  const call = { id: 'c', name: 'look', arguments: { at: 1 } }
  const conversation = [
    { ...hello, id: 'a', createdAt: '2026-01-01T00:00:00Z', metadata: { a: [1] } },
    { ...hello, id: 'b', replaces: 'a', clientId: 'key' },
    { role: 'ASSISTANT', toolCalls: [call], model: 'demo:chat', inputTokens: 3, cost: '0.5' },
    { role: 'TOOL', toolCallId: 'c', content: 'seen' },
  ]
  files.push(documentOf(conversation, { title: 'Tides', tags: ['sea'], parameters: { topK: 1 } }))
})

const stored = async () => {
  const tables = ['sessions', 'messages', 'users', 'documents', 'citations', 'read_marks']
  const counts = tables.map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`)
  return query(imports.app.databaseUrl, `SELECT ${counts.join(', ')}`)
}

const hostile = [
  ...[null, '', ' ', 'a\0b', '\ud800', '__proto__', -1, 0.5, 1e308, 2 ** 53, true, [], {}, [[]], [null]],
  ...[{ __proto__: null, constructor: { prototype: 1 } }, 'x'.repeat(300_000), { length: 1e9 }],
  ...['0000-01-01T00:00:00Z', 'session_01h455vb4pex5vsknk084sn02q', JSON.parse('{"__proto__": {"role": 1}}')],
]

/** A file of another kind: with a hostile value somewhere, or with a piece of its text lost, doubled or spoilt. */
type Break = { file: number; how: 'value' | 'cut' | 'lose' | 'double' | 'spoil'; at: number; with: number }
const breaks: fc.Arbitrary<Break> = fc.record({
  file: fc.nat(3),
  how: fc.constantFrom('value', 'value', 'value', 'cut', 'lose', 'double', 'spoil'),
  // Values near the ends are no better here than others.
  at: fc.noBias(fc.nat()),
  with: fc.noBias(fc.nat(1_000)),
})
function broken({ file, how, at, with: by }: Break): string {
  const text = files[file] as string
  const place = at % text.length
  if (how === 'cut') return text.slice(0, place)
  if (how === 'lose') return text.slice(0, place) + text.slice(place + 1 + (by % 40))
  if (how === 'double') return text.slice(0, place + by) + text.slice(place)
  if (how === 'spoil') return text.slice(0, place) + '"{}[]:,\\0'.charAt(by % 9) + text.slice(place + 1)
  const spots = spotsOf(JSON.parse(text))
  const spot = spots[at % spots.length] as string[]
  return JSON.stringify(put(JSON.parse(text), spot, hostile[by % hostile.length]))
}
const spotsOf = (value: unknown, path: string[] = []): string[][] => [
  path,
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => spotsOf(inner, [...path, key]))
    : []),
]
function put(value: unknown, [key, ...rest]: string[], leaf: unknown): unknown {
  if (key === undefined) return leaf
  const inner = put((value as Record<string, unknown>)[key], rest, leaf)
  return Array.isArray(value) ? value.with(Number(key), inner) : { ...(value as object), [key]: inner }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

it('a file that is broken anywhere is stored whole or not at all, and its fault is named', async () => {
  const outcomes = { stored: 0, refused: 0 }
  for (const content of files) expect(await imports.importInto({ content })).not.toHaveProperty('code')
  await fc.assert(
    fc.asyncProperty(breaks, async (each) => {
      const before = await stored()
      const answer = await imports.send(broken(each))
      const { code, message, sessions } = answer.data?.importSession ?? {}
      if (sessions) {
        outcomes.stored += 1
        for (const { id, messageCount } of sessions) {
          const { session } = await imports.app.api().run(
            `query ($id: ID!) { session(id: $id) { messageCount
                now: messages(first: 100) { totalCount nodes { seq } }
                all: messages(first: 100, replaced: true) { nodes { seq } } } }`,
            { id },
          )
          expect(session.messageCount).toBe(messageCount)
          expect(session.now.totalCount).toBe(messageCount)
          const seqs = [...session.now.nodes, ...session.all.nodes].map(({ seq }: { seq: number }) => seq)
          const unique = [...new Set(seqs)].toSorted((a, b) => a - b)
          expect(unique).toEqual(numbers(unique.length))
        }
        return
      }
      outcomes.refused += 1
      expect(code, JSON.stringify(answer).slice(0, 500)).toBe('BAD_USER_INPUT')
      expect(message).toMatch(/^content/)
      expect(await stored()).toEqual(before)
    }),
    { numRuns: 80 },
  )
  expect(outcomes.stored).toBeGreaterThan(3)
  expect(outcomes.refused).toBeGreaterThan(20)
})
