import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

test('every attack of docs/security.md has its tests', async () => {
  const rows = [...(await read('docs/security.md')).matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)]
  expect(rows.map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 82 }, (_, index) => index + 1),
  )
  const missing: string[] = []
  for (const [, number, proofs = ''] of rows)
    for (const proof of proofs.split('; ')) {
      const [, file, title = ''] = /^([\w/-]+) "([^"]+)"$/.exec(proof) ?? []
      const source = file ? await read(`test/${file}.test.ts`).catch(() => null) : null
      if (!source?.includes(title)) missing.push(`${number}: ${proof}`)
    }
  expect(missing).toEqual([])
})
