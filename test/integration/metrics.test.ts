import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { freePort } from '../support/free-port.ts'
import { watchSession } from '../support/session-reader.ts'

let app: TestApp
let port: number
beforeAll(async () => {
  port = await freePort()
  app = await startTestApp({ env: { METRICS_PORT: String(port) } })
})

/** The values of all series by what stands before them. */
async function read(): Promise<Record<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  expect(response.status).toBe(200)
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  )
}

const canary = 'canary-5d20'
const identity = { user: `${canary}-user`, tenant: `${canary}-tenant` }

it('says what is done by every door, and how it ended', async () => {
  const api = app.api()
  const before = await read()
  const sessionId = await api.createSession()
  await api.change('sendMessage', { sessionId, content: 'Hello', wait: true })
  await api.run('{ viewer { role } }')
  await api.send('{ sessions(first: 1000) { totalCount } }')
  await fetch(`${app.url}/graphql`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
  frames.subscribe('watch', watchSession, { sessionId })
  frames.subscribe('once', '{ viewer { role } }')
  frames.subscribe('wrong', '{ nothing }')
  for (const name of ['watch', 'once', 'wrong']) await frames.until(({ id }) => id === name)

  const open = await read()
  const grown = (series: string) => (open[series] ?? 0) - (before[series] ?? 0)
  expect({
    queries: grown('parley_operations_total{kind="query",outcome="OK"}'),
    faulty: grown('parley_operations_total{kind="query",outcome="BAD_USER_INPUT"}'),
    mutations: grown('parley_operations_total{kind="mutation",outcome="OK"}'),
    subscriptions: grown('parley_operations_total{kind="subscription",outcome="OK"}'),
    refused: grown('parley_operations_total{kind="unknown",outcome="BAD_USER_INPUT"}'),
    timed: grown('parley_operation_duration_seconds_count{kind="mutation"}'),
    unsupported: grown('parley_http_responses_total{status="415"}'),
    runs: grown('parley_runs_finished_total{status="COMPLETED"}'),
    firstTokens: grown('parley_run_first_token_seconds_count'),
    ends: grown('parley_feed_events_total{type="RunFinished"}'),
    connections: open.parley_connections,
    following: open.parley_subscriptions,
    running: open['parley_runs_open{status="RUNNING"}'],
    broker: open.parley_broker_up,
  }).toEqual({
    queries: 2,
    faulty: 1,
    mutations: 2,
    subscriptions: 1,
    refused: 1,
    timed: 2,
    unsupported: 1,
    runs: 1,
    firstTokens: 1,
    ends: 1,
    connections: 1,
    following: 1,
    running: 0,
    broker: 1,
  })
  expect(grown('parley_feed_events_total{type="TextDelta"}')).toBeGreaterThan(0)
  for (const series of ['parley_database_connections{state="open"}', 'process_resident_memory_bytes'])
    expect(open[series]).toBeGreaterThan(0)
  frames.socket.close(4_321)
  await frames.closed
  await expect.poll(async () => (await read())['parley_websocket_closes_total{code="other"}']).toBe(1)
})

it('says how much background work waits, is at work and failed', async () => {
  // Begun by the first job, if it has not yet.
  await app.api().change('createDocument', { title: 'Tides', text: 'The sea rises.' })
  const states = ['waiting', 'active', 'failed']
  const series = ['document-index', 'document-sweep', 'retention'].flatMap((job) =>
    states.map((state) => `parley_jobs{job="${job}",state="${state}"}`),
  )
  await expect
    .poll(async () => Object.entries(await read()).filter(([name]) => series.includes(name)))
    .toEqual(expect.arrayContaining(series.map((name) => [name, 0])))
})

it('row 79: holds nothing of what callers send or are', async () => {
  const api = app.api(identity)
  const sessionId = await api.createSession({ title: canary, metadata: { canary } })
  await api.change('sendMessage', { sessionId, content: canary, wait: true })
  await api.run(`query ${canary.replace('-', '_')} { viewer { role } }`)
  await fetch(`${app.url}/${canary}`, { headers: { 'x-request-id': canary, 'user-agent': canary } })
  const frames = await openFrames(app.url, { params: { token: app.token(identity), canary } })
  frames.subscribe(canary, `subscription { ${canary.replace('-', '_')} }`)
  await frames.until(({ id }) => id === canary)
  frames.socket.terminate()
  const text = JSON.stringify(await read())
  expect(text).toContain('parley_operations_total')
  expect(text).not.toMatch(/canary/)
  expect(text).not.toContain(sessionId.slice('session_'.length))
  expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/)
})

it('row 80: has no more series for more callers and more names of operations', async () => {
  const series = async () => Object.keys(await read()).filter((name) => name.startsWith('parley_')).length
  const ask = (index: number) =>
    app.api({ user: `user-${index}` }).run(`query Name${index} { viewer { role } }`)
  await ask(0)
  const before = await series()
  await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index + 1)))
  expect(await series()).toBe(before)
})

it('row 81: is at an address of its own, and by default nowhere', async () => {
  for (const path of ['/', '/metrics/', '/graphql', '/metrics?x'])
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404)
  expect((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status).toBe(404)
  expect((await fetch(`${app.url}/metrics`)).status).toBe(404)
})
