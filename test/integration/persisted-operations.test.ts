import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ConfigError } from '../../src/config.ts'
import { openPersistedOperations } from '../../src/server/persisted-operations.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'

const viewer = 'query Viewer { viewer { role } }'
const watch = 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename } }'
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
const persisted = (text: string) => ({ persistedQuery: { version: 1, sha256Hash: hashOf(text) } })

let folder: string
let app: TestApp
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-operations-'))
  const file = join(folder, 'operations.json')
  await writeFile(file, JSON.stringify({ [hashOf(viewer)]: viewer, [hashOf(watch)]: watch }))
  app = await startTestApp({ env: { PERSISTED_OPERATIONS_FILE: file } })
})
afterAll(() => rm(folder, { recursive: true }))

async function post(body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${app.token()}`, ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, text: await response.text() }
}

const refusal = 'The operation is not among those that this server takes (PERSISTED_OPERATIONS_FILE).'
const told = '{"data":{"viewer":{"role":"USER"}}}'

/** Requests that are refused by every door. */
const refused: [string, object][] = [
  ['another operation', { query: '{ viewer { role } }' }],
  [
    'another operation under the id of one that is taken',
    { query: '{ agents { id } }', extensions: persisted(viewer) },
  ],
  ['an id that is not on the list', { query: '', extensions: persisted('{ agents { id } }') }],
  [
    'an id that objects have by nature',
    { query: '', extensions: { persistedQuery: { sha256Hash: '__proto__' } } },
  ],
  ['nothing', { query: '' }],
]

it('takes what is on the list, by its id or its text, over every door', async () => {
  for (const body of [
    { extensions: persisted(viewer) },
    { query: viewer },
    { query: viewer, extensions: persisted(viewer) },
  ])
    expect(await post(body)).toEqual({ status: 200, text: told })
  const sessionId = 'session_01h455vb4pex5vsknk084sn02q'
  const events = await post(
    { extensions: persisted(watch), variables: { id: sessionId } },
    { accept: 'text/event-stream' },
  )
  expect(events.text).toContain('NOT_FOUND')
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
  frames.send({ id: '1', type: 'subscribe', payload: { query: '', extensions: persisted(viewer) } })
  frames.subscribe('2', viewer)
  for (const id of ['1', '2'])
    expect((await frames.until((frame) => frame.id === id)).payload).toEqual(JSON.parse(told))
  frames.socket.terminate()
})

it.each(refused)('refuses %s over every door', async (_what, body) => {
  for (const accept of ['application/json', 'text/event-stream']) {
    const { status, text } = await post(body, { accept })
    expect([status, JSON.parse(text).errors]).toEqual([
      403,
      [{ message: refusal, extensions: { code: 'FORBIDDEN' } }],
    ])
  }
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
  frames.send({ id: '1', type: 'subscribe', payload: body })
  expect(await frames.until(({ id }) => id === '1')).toEqual({
    id: '1',
    type: 'error',
    payload: [{ message: refusal, extensions: { code: 'FORBIDDEN' } }],
  })
  frames.socket.terminate()
})

it('takes no GET, and says what is wrong with a request that is none', async () => {
  const headers = { authorization: `Bearer ${app.token()}` }
  const get = await fetch(`${app.url}/graphql?query=${encodeURIComponent(viewer)}`, { headers })
  expect(get.status).toBe(405)
  expect((await post([{ query: viewer }])).status).toBe(400)
})

it('reads a manifest of Apollo, and refuses files that it cannot use', async () => {
  const path = join(folder, 'manifest.json')
  const operations = [{ id: 'abc', name: 'Viewer', type: 'query', body: viewer }]
  await writeFile(path, JSON.stringify({ format: 'apollo-persisted-query-manifest', version: 1, operations }))
  const list = await openPersistedOperations(path)
  expect(list?.resolve({ extensions: { persistedQuery: { sha256Hash: 'abc' } } })).toBe(viewer)
  for (const content of ['', '{', '[]', '{}', '{"a": 1}']) {
    await writeFile(path, content)
    await expect(openPersistedOperations(path)).rejects.toThrow(ConfigError)
  }
  await expect(openPersistedOperations(join(folder, 'none'))).rejects.toThrow(
    /PERSISTED_OPERATIONS_FILE: cannot be read/,
  )
})
