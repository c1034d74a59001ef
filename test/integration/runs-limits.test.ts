import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model } from '../support/recording-provider.ts'

const perTenant = 4
const env = {
  RUNS_PER_USER: '3',
  RUNS_PER_TENANT: String(perTenant),
  RUNS_QUEUED_PER_SESSION: '2',
  MAX_SESSIONS_PER_AGENT: '1000',
}
// Two nodes that tell each other nothing share what they know in the database alone.
const recordings = [createRecordingProvider(), createRecordingProvider()] as const
let nodes: [TestApp, TestApp]
beforeAll(async () => {
  const { databaseUrl, ...one } = await startTestApp({ env, providers: [recordings[0].provider] })
  const other = await startTestApp({ env, providers: [recordings[1].provider], databaseUrl })
  nodes = [{ ...one, databaseUrl }, other]
})
besideNeighbour(() => nodes[0])

const callsNow = () => recordings.flatMap(({ calls }) => calls)

/** Who runs now, and how many wait, in this tenant. */
async function state(tenant: string) {
  return query<{ user: string; status: string }>(
    nodes[0].databaseUrl,
    `SELECT u.external_id AS user, r.status::text FROM runs r JOIN users u ON u.id = r.user_id
     JOIN tenants t ON t.id = r.tenant_id WHERE t.slug = $1 AND r.status IN ('QUEUED', 'RUNNING') ORDER BY r.started_at`,
    { values: [tenant] },
  )
}
const runningIn = async (tenant: string) => (await state(tenant)).filter(({ status }) => status === 'RUNNING')

/** Sends one message in each of some new sessions, from both nodes at once. */
async function sendAll(tenant: string, user: string, count: number) {
  const apis = [nodes[0].api({ tenant, user }), nodes[1].api({ tenant, user })] as const
  const sessionIds = await Promise.all(Array.from({ length: count }, () => apis[0].createSession()))
  return Promise.all(
    sessionIds.map((sessionId, index) =>
      apis[index % 2 === 0 ? 0 : 1].sendMessage({ sessionId, content: `${tenant} ${user} ${index}`, model }),
    ),
  )
}

describe('the runs of a tenant', () => {
  it.each(['acme', 'globex'])('are as many at once as allowed, over two nodes: %s', async (tenant) => {
    const users = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi']
    const total = users.length * 2
    const sent = Promise.all(users.map((user) => sendAll(tenant, user, 2)))
    let most = 0
    const answered = new Set<object>()
    for (;;) {
      const running = await runningIn(tenant)
      most = Math.max(most, running.length)
      expect(running.length).toBeLessThanOrEqual(perTenant)
      for (const user of users)
        expect(running.filter((run) => run.user === user).length).toBeLessThanOrEqual(3)
      const call = callsNow().find(
        (each) => !answered.has(each) && each.request.messages.at(-1)?.content.startsWith(tenant),
      )
      // Once all that may be running runs, one ends and makes way.
      if (call && (running.length === perTenant || answered.size > total - perTenant)) {
        answered.add(call)
        call.tell(end)
      }
      if (answered.size === total) break
    }
    expect(most).toBe(perTenant)
    await sent
    await expect.poll(() => state(tenant), { interval: 20 }).toEqual([])
  })

  it('go to the users in turn: who has fifty waiting holds nobody up', async () => {
    const tenant = 'hooli'
    const greedy = await sendAll(tenant, 'greedy', 50)
    expect(greedy.every((sent) => sent?.run)).toBe(true)
    await expect.poll(async () => (await runningIn(tenant)).length, { interval: 10 }).toBe(3)
    await sendAll(tenant, 'modest', 3)
    await expect.poll(async () => (await runningIn(tenant)).length, { interval: 10 }).toBe(perTenant)
    // The place that comes free goes to whoever has the fewest running, however many were asked for earlier.
    const runningOf = async (user: string) =>
      (await runningIn(tenant)).filter((run) => run.user === user).length
    expect([await runningOf('greedy'), await runningOf('modest')]).toEqual([3, 1])
    const answered = new Set<object>()
    for (let round = 0; round < 3; round += 1) {
      const call = callsNow().find(
        (each) => !answered.has(each) && each.request.messages.at(-1)?.content.startsWith(`${tenant} greedy`),
      )
      answered.add(call ?? {})
      const before = callsNow().length
      call?.tell(end)
      await expect.poll(() => callsNow().length, { interval: 10 }).toBe(before + 1)
      expect([await runningOf('greedy'), await runningOf('modest')]).toEqual([2, 2])
    }
  })
})

describe('the line of a session', () => {
  it('is bounded, exactly, whoever sends at once', async () => {
    const tenant = 'umbrella'
    const apis = [nodes[0].api({ tenant }), nodes[1].api({ tenant })] as const
    const sessionId = await apis[0].createSession()
    const sent = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        apis[index % 2 === 0 ? 0 : 1].sendMessage({
          sessionId,
          content: `${tenant} ${index}`,
          model,
          clientId: `${index}`,
        }),
      ),
    )
    expect(sent.filter(({ run }) => run).length).toBe(3)
    const refused = sent.filter(({ code }) => code)
    expect(refused.length).toBe(9)
    for (const error of refused)
      expect(error).toEqual({
        code: 'LIMIT_EXCEEDED',
        message: expect.stringContaining('2 messages that wait for an answer'),
      })
    // A copy of one that is stored is no new one.
    const index = sent.findIndex(({ run }) => run)
    const again = await apis[0].sendMessage({
      sessionId,
      content: `${tenant} ${index}`,
      model,
      clientId: `${index}`,
    })
    expect(again.run.id).toBe(sent[index]?.run.id)
    const { session } = await apis[0].run(
      'query ($id: ID!) { session(id: $id) { messageCount queuedRuns { id } } }',
      { id: sessionId },
    )
    expect(session.messageCount).toBe(6)
    expect(session.queuedRuns.length).toBe(2)
  })
})
