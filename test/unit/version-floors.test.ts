import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

/** The first versions without a known hole; of a package with several lines, the first of each. */
const floors: Record<string, readonly string[]> = {
  ws: ['8.23.0'],
  undici: ['6.28.1', '7.29.1', '8.10.2'],
  graphql: ['16.8.1'],
  'graphql-yoga': ['5.21.3'],
  'graphql-ws': ['6.4.2'],
  jsonwebtoken: ['9.0.0'],
  '@graphql-tools/executor-legacy-ws': ['1.1.36'],
  '@escape.tech/graphql-armor-max-depth': ['2.4.2'],
}

type Lock = { packages: Record<string, { version?: string; dev?: boolean }> }

const numbers = (version: string) => version.split(/[.-]/, 3).map(Number)

/** Whether it is at or above the floor of its own line, or in a line above all floors. */
function isSound(version: string, lines: readonly string[]): boolean {
  const [major = 0, minor = 0, patch = 0] = numbers(version)
  const floor = lines.map(numbers).find(([line = 0]) => line >= major)
  if (!floor) return true
  const [floorMajor = 0, floorMinor = 0, floorPatch = 0] = floor
  return major === floorMajor && (minor > floorMinor || (minor === floorMinor && patch >= floorPatch))
}

test('no package that the server runs with is older than its last known hole', async () => {
  const lock = JSON.parse(await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8')) as Lock
  // What is there for development alone, such as the servers that benchmarks compare with, serves nobody.
  const installed = Object.entries(lock.packages)
    .filter(([, { dev }]) => !dev)
    .map(([path, { version = '' }]) => ({ name: path.split('node_modules/').at(-1) ?? '', version }))
  const holed = installed.filter(({ name, version }) => !isSound(version, floors[name] ?? []))
  expect(holed).toEqual([])
  for (const name of ['ws', 'graphql', 'graphql-yoga', 'graphql-ws', 'jsonwebtoken'])
    expect(installed.map((each) => each.name)).toContain(name)
})

test('a floor is told from what lies below it', () => {
  expect(['8.22.9', '8.23.0', '9.0.0', '7.5.10'].map((each) => isSound(each, floors.ws ?? []))).toEqual([
    false,
    true,
    true,
    false,
  ])
  expect(['6.28.0', '6.28.1', '7.29.0', '8.10.2'].map((each) => isSound(each, floors.undici ?? []))).toEqual([
    false,
    true,
    false,
    true,
  ])
})
