import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splitBlocks } from '../../web/src/chat/conversation/markdown-blocks.ts'

describe('a text in blocks', () => {
  it.each([
    ['paragraphs', 'One\n\nTwo\nmore', ['One\n', 'Two\nmore']],
    ['code with blank lines', '```js\na\n\nb\n```\n\nAfter', ['```js\na\n\nb\n```\n', 'After']],
    ['code that is being written', 'Before\n\n```js\na\n\nb', ['Before\n', '```js\na\n\nb']],
    ['a fence in a longer fence', '````\n```\n\n```\n````\n\nAfter', ['````\n```\n\n```\n````\n', 'After']],
    [
      'a loose list',
      '1. One\n\n2. Two\n\n   still two\n\nAfter',
      ['1. One\n\n2. Two\n\n   still two\n', 'After'],
    ],
    ['link definitions', 'See [a].\n\n[a]: https://example.org', ['See [a].\n\n[a]: https://example.org']],
    ['nothing', '\n\n', []],
  ])('keeps %s right', (_name, text, blocks) => {
    expect(splitBlocks(text)).toEqual(blocks)
  })

  it('never changes a block that has two after it', () => {
    const line = fc.constantFrom(
      '',
      'word',
      '- item',
      '1. item',
      '  more',
      '```',
      '```js',
      '> said',
      '# title',
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), fc.array(line, { maxLength: 5 }), (start, rest) => {
        const before = splitBlocks(start.join('\n'))
        const after = splitBlocks([...start, ...rest].join('\n'))
        expect(after.slice(0, Math.max(0, before.length - 2))).toEqual(before.slice(0, -2))
        expect(before.join('').replaceAll(/\s/g, '')).toBe(start.join('').replaceAll(/\s/g, ''))
      }),
    )
  })
})
