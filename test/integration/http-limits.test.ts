import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Door, doorNames, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'

const production = { NODE_ENV: 'production', JWT_SECRET: 's'.repeat(32), AUTO_CREATE_TENANTS: 'true' }

let app: TestApp
let live: TestApp
let closed: TestApp
let strict: TestApp
beforeAll(async () => {
  app = await startTestApp()
  live = await startTestApp({ env: production })
  strict = await startTestApp({
    env: {
      OPERATION_MAX_DEPTH: '3',
      OPERATION_MAX_ALIASES: '2',
      OPERATION_MAX_DIRECTIVES: '2',
      OPERATION_MAX_TOKENS: '40',
      OPERATION_MAX_LENGTH: '400',
      OPERATION_MAX_COST: '40',
    },
  })
  closed = await startTestApp({ env: { ...production, INTROSPECTION: 'nobody' } })
})
besideNeighbour(() => app)

it('a long body is handed on without a list of its characters', async () => {
  const listed = vi.spyOn(Object, 'keys')
  const doors = await openDoors(app.url, app.token())
  const answer = await doors.yoga(
    'query ($title: String) { sessions(filter: { title: $title }) { totalCount } }',
    {
      title: 'x'.repeat(200),
      unknown: 'x'.repeat(500_000),
    },
  )
  doors.close()
  const longest = Math.max(...listed.mock.results.map(({ value }) => (value as string[]).length))
  listed.mockRestore()
  expect(answer?.data).toEqual({ sessions: { totalCount: 0 } })
  expect(longest).toBeLessThan(5_000)
})

const times = (count: number, one: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(' ')

/** Sessions within messages within sessions, this many fields deep. */
function nested(levels: number): string {
  const steps = ['messages(first: 1)', 'nodes', 'session']
  let inner = 'id'
  for (let level = levels - 2; level >= 0; level -= 1) inner = `${steps[level % 3]} { ${inner} }`
  return `session(id: "session_01h455vb4pex5vsknk084sn02q") { ${inner} }`
}

const withinLimits: [string, string][] = [
  ['seven fields deep', `{ ${nested(7)} }`],
  [
    'a fragment that is spread often, each time at seven fields',
    `{ ${nested(4)} b: sessions(first: 1) { nodes { ...A ...A ... on Session { ...A } } } c: sessions(first: 1) { nodes { ...A } } }
     fragment A on Session { messages(first: 1) { nodes { ...B ...B } } } fragment B on Message { author { name ... on User { email } } }`,
  ],
  ['15 aliases', `{ ${times(15, (i) => `a${i}: viewer { role }`)} }`],
  ['10 directives', `{ viewer { ${times(10, () => 'role @include(if: true)')} } }`],
  ['lists of default size', '{ sessions { nodes { messages { nodes { id content author { name } } } } } }'],
]

const beyondLimits: [string, string, string][] = [
  ['fields nested too deep', `{ ${nested(12)} }`, 'depth'],
  ['depth in fragments', `query { ...A } fragment A on Query { ${nested(12)} }`, 'depth'],
  [
    'depth in a chain of fragments',
    `query { session(id: "session_01h455vb4pex5vsknk084sn02q") { ...A } }
     fragment A on Session { messages(first: 1) { nodes { ...B } } } fragment B on Message { session { ...C } }
     fragment C on Session { messages(first: 1) { nodes { ...D } } } fragment D on Message { session { messages(first: 1) { nodes { session { id } } } } }`,
    'depth',
  ],
  ['depth in inline fragments', `{ ... on Query { ... on Query { ${nested(12)} } } }`, 'depth'],
  ['depth in an operation named __schema', `query __schema { ${nested(12)} }`, 'depth'],
  [
    'depth in a fragment named __schema',
    `query { ...__schema } fragment __schema on Query { ${nested(12)} }`,
    'depth',
  ],
  ['16 aliases', `{ ${times(16, (i) => `a${i}: viewer { role }`)} }`, 'liases'],
  [
    '16 aliases of fragments',
    `{ ${times(8, (i) => `a${i}: viewer { ...R }`)} } fragment R on Viewer { x: role y: role }`,
    'liases',
  ],
  ['11 directives', `{ viewer { ${times(11, () => 'role @include(if: true)')} } }`, 'irectives'],
  ['1,001 tokens', `{ viewer { ${times(1_001, () => 'role')} } }`, 'oken'],
  ['1,600 brackets', '{viewer '.repeat(1_600), 'oken'],
  [
    'a document of 15,001 characters',
    `{ viewer { role } } #${'x'.repeat(15_000)}`,
    'at most 15000 are allowed',
  ],
  [
    'a page of pages',
    '{ sessions(first: 100) { nodes { messages(first: 200) { nodes { id } } } } }',
    'costs',
  ],
  [
    'a page of pages in a fragment named __schema',
    'query { ...__schema } fragment __schema on Query { sessions(first: 100) { nodes { messages(first: 200) { nodes { id } } } } }',
    'costs',
  ],
  [
    'a circle of fragments',
    'query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
    'Cannot spread fragment',
  ],
]

describe.each(doorNames)('over %s', (name) => {
  let door: Door
  beforeAll(async () => {
    door = (await openDoors(app.url, app.token()))[name]
  })

  it.each(withinLimits)('%s are answered', async (_what, operation) => {
    expect(await door(operation)).not.toHaveProperty('errors')
  })

  it.each(beyondLimits)('%s are refused', async (_what, operation, says) => {
    const answer = await door(operation)
    expect(answer?.data ?? null).toBeNull()
    expect(answer?.errors?.map(({ extensions }) => extensions.code)).toEqual(
      answer?.errors?.map(() => 'BAD_USER_INPUT'),
    )
    expect(answer?.errors?.map(({ message }) => message).join()).toContain(says)
  })

  it.each<[string, string, string]>([
    ['OPERATION_MAX_DEPTH', '{ sessions(first: 1) { nodes { agent { id } } } }', 'depth'],
    ['OPERATION_MAX_ALIASES', '{ a: viewer { role } b: viewer { role } c: viewer { role } }', 'liases'],
    ['OPERATION_MAX_DIRECTIVES', `{ viewer { ${times(3, () => 'role @include(if: true)')} } }`, 'irectives'],
    ['OPERATION_MAX_TOKENS', `{ viewer { ${times(50, () => 'role')} } }`, 'oken'],
    ['OPERATION_MAX_LENGTH', `{ viewer { role } } #${'x'.repeat(400)}`, 'at most 400'],
    [
      'OPERATION_MAX_COST',
      '{ viewer { role } sessions(first: 50) { totalCount nodes { id } } }',
      'at most 40',
    ],
  ])('%s is a setting', async (_setting, operation, says) => {
    const narrow = (await openDoors(strict.url, strict.token()))[name]
    expect(await narrow('{ viewer { role } }')).not.toHaveProperty('errors')
    const answer = await narrow(operation)
    expect(answer?.errors?.map(({ message }) => message).join()).toContain(says)
    expect(await door(operation)).not.toHaveProperty('errors')
  })

  it('what is cheap with small pages is refused with large ones', async () => {
    const operation = `query ($first: Int, $last: Int = 1) {
      sessions(first: $first) { nodes { messages(last: $last) { nodes { id } } } }
    }`
    for (const sizes of [{ first: 1 }, { first: 100 }, { first: 10, last: 50 }, { first: 1 }])
      expect(await door(operation, sizes)).not.toHaveProperty('errors')
    for (const sizes of [
      { first: 100, last: 200 },
      { first: 100, last: null },
    ]) {
      const answer = await door(operation, sizes)
      expect(answer?.errors?.[0]).toMatchObject({
        message: expect.stringContaining('costs'),
        extensions: { code: 'BAD_USER_INPUT' },
      })
    }
  })

  it('a subscription is refused for what its events would cost', async () => {
    const id = await app.api().createSession()
    const events = (last: number) => `subscription ($id: ID!) { sessionEvents(sessionId: $id) {
      ... on SessionSnapshot { session { messages(last: ${last}) { nodes { session { messages(last: ${last}) { nodes { id } } } } } } }
    } }`
    expect(await door(events(2), { id })).toMatchObject({
      data: { sessionEvents: { session: { messages: {} } } },
    })
    expect(await door(events(200), { id })).toMatchObject({
      errors: [{ message: expect.stringContaining('costs'), extensions: { code: 'BAD_USER_INPUT' } }],
    })
  })

  it('the places of a hundred feeds are asked once, and not ten times over', async () => {
    const names = 'abcdefghij'.split('')
    const cursors = (count: number) =>
      `{ sessions(first: 100) { nodes { ${names.slice(0, count).map((name) => `${name}: cursor`)} } } }`
    expect(await door(cursors(1))).not.toHaveProperty('errors')
    expect(await door(cursors(10))).toMatchObject({
      errors: [{ message: expect.stringContaining('costs'), extensions: { code: 'BAD_USER_INPUT' } }],
    })
  })

  it('what is cheap for one id is refused for a hundred', async () => {
    const operation = `query ($ids: [ID!]!) {
      nodes(ids: $ids) { ... on Session { messages(first: 200) { nodes { id content } } } }
    }`
    const ids = (count: number) => ({ ids: Array(count).fill('session_01h455vb4pex5vsknk084sn02q') })
    for (const count of [1, 5, 1]) expect(await door(operation, ids(count))).not.toHaveProperty('errors')
    expect(await door(operation, ids(100))).toMatchObject({
      errors: [{ message: expect.stringContaining('costs'), extensions: { code: 'BAD_USER_INPUT' } }],
    })
  })

  it('fragments that fan out are refused or answered at once', async () => {
    const fanOn = (type: string) =>
      times(40, (i) => `fragment F${i} on ${type} { ...F${i + 1} ...F${i + 1} }`)
    const startedAt = performance.now()
    await door(`query { viewer { ...F0 } } ${fanOn('Viewer')} fragment F40 on Viewer { role }`)
    await door(
      `subscription { ...F0 } ${fanOn('Subscription')} fragment F40 on Subscription { sessionChanged { kind } nothing }`,
    )
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  it('at most five faults are listed', async () => {
    const answer = await door(`{ ${times(50, (i) => `unheard${i}`)} }`)
    expect(answer?.errors).toHaveLength(5)
  })

  it('in production nothing is told of the schema', async () => {
    const strict = (await openDoors(live.url, live.token()))[name]
    expect(await strict('{ viewer { role } }')).toEqual({ data: { viewer: { role: 'USER' } } })
    // Those who are signed in may have been shown it before.
    const asked = [
      '{ __type(name: "Query") { name } }',
      'query A { ...S } fragment S on Query { __schema { types { name } } }',
    ]
    for (const operation of asked) {
      expect(await strict(operation)).toHaveProperty('data')
      for (const more of [{}, { extensions: {} }]) {
        const response = await fetch(`${live.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: operation, ...more }),
        })
        expect(response.status).toBe(401)
        expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
      }
      const answer = await (await openDoors(closed.url, closed.token()))[name](operation)
      expect(answer?.errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } })
      expect(answer?.data ?? null).toBeNull()
    }
    const misspelt: [string, Record<string, unknown>?][] = [
      ['{ viewr { role } }'],
      ['{ viewer { rol } }'],
      ['{ sessions(frist: 1) { totalCount } }'],
      ['{ sessions(orderBy: { field: TITEL }) { totalCount } }'],
      ['{ sessions(orderBy: { feild: TITLE }) { totalCount } }'],
      ['query ($o: SessionOrder!) { sessions(orderBy: $o) { totalCount } }', { o: { field: 'TITEL' } }],
      ['query ($o: SessionOrder!) { sessions(orderBy: $o) { totalCount } }', { o: { feild: 'TITLE' } }],
      ['subscription ($f: SessionFilter) { sessionChanged(filter: $f) { kind } }', { f: { titel: 'x' } }],
      ['subscription { sessionChanged(filter: { titel: "x" }) { kind } }'],
    ]
    for (const [operation, variables] of misspelt) {
      const answer = JSON.stringify(await strict(operation, variables))
      expect(answer).toContain('BAD_USER_INPUT')
      expect(answer).not.toContain('Did you mean')
    }
  })
})
