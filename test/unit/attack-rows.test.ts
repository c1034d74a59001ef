import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

const rowsOf = async () => [...(await read('docs/security.md')).matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)]

/** What of `proofs`, files below `test/` with a piece of a title each, is not there. */
async function missingOf(proofs: string): Promise<string[]> {
  const missing: string[] = []
  for (const proof of proofs.split('; ')) {
    const [, file, title = ''] = /^([\w/-]+) "([^"]+)"$/.exec(proof) ?? []
    const source = file ? await read(`test/${file}.test.ts`).catch(() => null) : null
    if (!source?.includes(title)) missing.push(proof)
  }
  return missing
}

test('every attack of docs/security.md has its tests', async () => {
  const rows = await rowsOf()
  expect(rows.map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 82 }, (_, index) => index + 1),
  )
  const missing = await Promise.all(
    rows.map(async ([, number, proofs = '']) =>
      (await missingOf(proofs)).map((proof) => `${number}: ${proof}`),
    ),
  )
  expect(missing.flat()).toEqual([])
})

test('every limit of docs/security.md has its tests, and the defaults that it says', async () => {
  const [, table = ''] = (await read('docs/security.md')).split('| Limit of |')
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n').slice(2)
  expect(rows.length).toBeGreaterThan(25)
  const missing = await Promise.all(
    rows.map((row) => missingOf(row.split(' | ').at(-1)?.replace(/ \|$/, '') ?? '')),
  )
  expect(missing.flat()).toEqual([])
  const settings = await read('.env.example')
  const wrong = [...table.matchAll(/`([A-Z_]+)` \((\d+)\)/g)].filter(
    ([, name, value]) => !settings.includes(`\n${name}=${value}\n`),
  )
  expect(wrong.map(([said]) => said)).toEqual([])
})

/** Fail the database under everybody, and count what everybody does: a neighbour would be in it. */
const ofEverybody = new Set(['integration/http-failures', 'integration/metrics'])

test('every attack is tried with a neighbour beside it', async () => {
  const alone: string[] = []
  for (const [, number, proofs = ''] of await rowsOf()) {
    const files = new Set(proofs.split('; ').map((proof) => proof.replace(/ ".*$/, '')))
    const isOfEverybody = [...files].every((file) => ofEverybody.has(file))
    if (isOfEverybody) continue
    const sources = await Promise.all(
      [...files].filter((file) => !ofEverybody.has(file)).map((file) => read(`test/${file}.test.ts`)),
    )
    // What starts no server of its own has nobody to disturb; some other test of the row then must.
    const onServers = sources.filter((source) => source.includes('startTestApp('))
    const isWatched = (source: string) =>
      /^ *(besideNeighbour\(|(const \w+ = )?await neighbourBeside\()/m.test(source)
    if (onServers.length === 0 || !onServers.every(isWatched))
      alone.push(`${number}: ${[...files].join(', ')}`)
  }
  expect(alone).toEqual([])
})
