import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunksOf } from '../../src/features/documents/chunking.ts'

const plain = (text: string) => [...chunksOf({ text, pageStarts: [], isMarkdown: false })]
const markdown = (text: string) => [...chunksOf({ text, pageStarts: [], isMarkdown: true })]

/** Sentences of 50 units, numbered. */
const sentences = (count: number) =>
  Array.from({ length: count }, (_, index) => `Sentence ${String(index).padStart(4, '0')} ${'x'.repeat(34)}.`)

describe('chunks', () => {
  it('hold any text whole, each character of it, in bounds and in order', () => {
    const piece = fc.oneof(
      fc.constantFrom(' ', '\n', '\n\n', '# Head\n', '```\n', '😀', 'word', '. ', '。', '\t'),
      fc.string({ unit: 'grapheme', maxLength: 30 }),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(piece, fc.integer({ min: 1, max: 60 })), { maxLength: 60 }),
        fc.boolean(),
        (parts, isMarkdown) => {
          const text = parts.map(([each, times]) => each.repeat(times)).join('')
          const chunks = [...chunksOf({ text, pageStarts: [], isMarkdown })]
          const isHeld = new Uint8Array(text.length)
          let last = -1
          for (const { start, end, text: held } of chunks) {
            expect(held).toBe(text.slice(start, end))
            expect(held.length).toBeLessThanOrEqual(1_000)
            expect(held.isWellFormed()).toBe(text.isWellFormed())
            expect(start).toBeGreaterThan(last)
            last = start
            isHeld.fill(1, start, end)
          }
          for (const [at, isIn] of isHeld.entries()) if (!isIn) expect(text[at]).toMatch(/\s/)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('end with a sentence and repeat some of the one before', () => {
    const chunks = plain(sentences(60).join(' '))
    for (const [index, { text, start }] of chunks.entries()) {
      expect(text).toMatch(/\.$/)
      const before = chunks[index - 1]
      if (before) expect(before.end - start).toBeGreaterThan(50)
      if (before) expect(before.end - start).toBeLessThanOrEqual(150)
    }
  })

  it('end with a paragraph rather than with a sentence', () => {
    const [first] = plain(`${sentences(10).join(' ')}\n\n${sentences(30).join(' ')}`)
    expect(first?.text).toBe(sentences(10).join(' '))
  })

  it('end where a section begins, and know the headings above them', () => {
    const body = sentences(9).join(' ')
    const text = `# One\n\n${body}\n\n## Two ##\n\n${body}\n\n\`\`\`\n# No heading\n\`\`\`\n\n# Three\n\n${body}`
    const chunks = markdown(text)
    expect(chunks.map(({ heading }) => heading)).toEqual(['One', 'One › Two', 'Three'])
    expect(chunks.map(({ text }) => text.split('\n')[0])).toEqual(['# One', '## Two ##', '# Three'])
    expect(plain(text).every(({ heading }) => heading === null)).toBe(true)
  })

  it('span no two pages', () => {
    const pages = ['First page. ', 'Second page. ', '   ', 'Fourth page.']
    const pageStarts = pages.map((_, index) => pages.slice(0, index).join('').length)
    const chunks = [...chunksOf({ text: pages.join(''), pageStarts, isMarkdown: false })]
    expect(chunks.map(({ page, text }) => [page, text])).toEqual([
      [1, 'First page.'],
      [2, 'Second page.'],
      [4, 'Fourth page.'],
    ])
  })

  it.each([
    ['one word', 'a'],
    ['blank lines', '\n'],
    ['headings', '# a\n'],
    ['half headings', `#${' '.repeat(900)}\n`],
    ['fences', '```\n'],
    ['dots', '. '],
  ])('of megabytes of %s are cut in linear time', (_name, unit) => {
    const take = (bytes: number) => {
      const text = unit.repeat(Math.ceil(bytes / unit.length))
      const startedAt = performance.now()
      for (const chunk of chunksOf({ text, pageStarts: [], isMarkdown: true }))
        expect(chunk.text).not.toBe('')
      return performance.now() - startedAt
    }
    take(100_000)
    // A quadratic one would take hundreds of times as long, not ten.
    expect(take(2_000_000)).toBeLessThan(Math.max(take(200_000), 20) * 60)
  })
})
