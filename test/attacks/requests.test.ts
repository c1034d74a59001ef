import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { openRaw } from '../support/raw.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { REQUEST_TIMEOUT_MS: '600' } })
})
besideNeighbour(() => app)

const viewer = '{ viewer { role } }'
const head = (...more: string[]) =>
  [
    'POST /graphql HTTP/1.1',
    'host: x',
    'content-type: application/json',
    `authorization: Bearer ${app.token()}`,
    ...more,
  ].join('\r\n')

/** Sends the bytes and gives the status of the answer; 0 where there is none. */
async function statusOf(...parts: (string | Uint8Array)[]): Promise<number> {
  const raw = await openRaw(app.url)
  for (const part of parts) raw.write(part)
  const status = await raw.status()
  raw.socket.destroy()
  return status
}

async function post(body: string | Uint8Array<ArrayBuffer>) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${app.token()}` },
    body,
  })
  return { status: response.status, text: await response.text() }
}

it('row 16: headers that never end and bodies that trickle are cut', async () => {
  const [headers, body] = [await openRaw(app.url), await openRaw(app.url)]
  headers.write('POST /graphql HTTP/1.1\r\nhost: x\r\nx-slow: ')
  body.write(`${head('content-length: 1000')}\r\n\r\n{`)
  const trickle = setInterval(() => {
    headers.write('x')
    body.write(' ')
  }, 50)
  await Promise.all([headers.closed, body.closed])
  clearInterval(trickle)
})

it('row 17: requests that proxies read otherwise, and floods of headers, are refused', async () => {
  const many = Array.from({ length: 2_001 }, (_, index) => `x-${index}: 1`)
  const statuses = [
    await statusOf(`${head('content-length: 4', 'transfer-encoding: chunked')}\r\n\r\n0\r\n\r\n`),
    await statusOf(`${head('content-length: 2', ...many)}\r\n\r\n{}`),
    await statusOf(
      `GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n${many.join('\r\n')}\r\n\r\n`,
    ),
  ]
  for (const status of statuses) expect([0, 400, 426, 431]).toContain(status)
  const body = JSON.stringify({ query: viewer })
  const odd = `${head(`content-length: ${body.length}`, '__proto__: x', 'constructor: y')}\r\n\r\n${body}`
  expect(await statusOf(odd)).toBe(200)
})

it('row 18: JSON of any depth and with doubled keys has one meaning, and changes no object', async () => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  expect(await post(`{"query":"${viewer}","variables":{"a":${deep}}}`)).toMatchObject({ status: 200 })
  expect((await post(deep)).status).toBe(400)
  // The last of two keys counts, on every way into the server.
  for (const more of ['', ',"extensions":{}'])
    expect((await post(`{"query":"{ nonsense }","query":"${viewer}"${more}}`)).status).toBe(200)
  expect(({} as { role?: string }).role).toBeUndefined()
})

it('row 22: bodies that are no UTF-8, or begin with a mark, are refused', async () => {
  const broken = Buffer.from(`{"query":"${viewer}","operationName":"\xff\xfe"}`, 'latin1')
  const { status, text } = await post(new Uint8Array(broken))
  expect([status, text]).toEqual([400, expect.stringContaining('The body is not UTF-8.')])
  expect((await post(`\ufeff{"query":"${viewer}"}`)).status).toBe(400)
})

const times = (count: number, one: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(' ')

describe.each(doorNames)('over %s', (name) => {
  it.each([
    ['row 4: thousands of levels', `${'{a'.repeat(5_000)}${'}'.repeat(5_000)}`],
    ['row 6: ten unknown directives', `{ viewer { role ${times(10, (i) => `@d${i}`)} } }`],
    ['row 6: 51 directives', `{ viewer { ${times(51, () => 'role @skip(if: false)')} } }`],
    ['row 6: one field 500 times, with its 1,000 tokens', `{ viewer { ${times(1_000, () => 'role')} } }`],
    ['a subscription to nothing', 'subscription { sessionChanged @include(if: false) { kind } }'],
    [
      'a subscription to nothing in a fragment',
      'subscription { ...A } fragment A on Subscription { sessionChanged @skip(if: true) { kind } }',
    ],
    ['row 14: @defer', '{ viewer { ... @defer { role } } }'],
    ['row 14: @stream', '{ agents @stream { id } }'],
    ['row 14: two operations and no name', 'query A { viewer { role } } query B { viewer { role } }'],
    [
      'row 12: circles of introspection',
      `{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }`,
    ],
    ['row 3: a fragment that spreads itself', 'query { ...A } fragment A on Query { viewer { role } ...A }'],
  ])('%s is refused with a code', async (_what, query) => {
    const doors = await openDoors(app.url, app.token())
    const answer = await doors[name](query)
    expect(answer?.data ?? null).toBeNull()
    expect(answer?.errors?.length).toBeGreaterThan(0)
    expect(answer?.errors?.length).toBeLessThanOrEqual(5)
    for (const { extensions } of answer?.errors ?? []) expect(extensions.code).toBe('BAD_USER_INPUT')
    doors.close()
  })
})
