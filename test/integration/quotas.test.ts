import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { createRecordingProvider, end, recordedModel, say } from '../support/recording-provider.ts'
import { readRun } from '../support/runs.ts'
import {
  ageUsage,
  createMeteredProvider,
  measure,
  meteredModel,
  quotaOf,
  refusal,
  setQuota,
} from './quotas.harness.ts'

const { provider, requests } = createMeteredProvider()
const recording = createRecordingProvider()
let app: TestApp
let count = 0

beforeAll(async () => {
  const pricesFile = join(tmpdir(), `parley-prices-${process.pid}.json`)
  await writeFile(pricesFile, JSON.stringify({ [meteredModel]: { input: '10000', output: '20000' } }))
  app = await startTestApp({
    env: { MODEL_PRICES_FILE: pricesFile, RUNS_PER_USER: '3', RUNS_QUEUED_PER_SESSION: '100' },
    providers: [provider, recording.provider],
  })
})

/** A tenant of its own for each test, with a user who has a session. */
async function setUp(): Promise<{ tenant: string; alice: Api; sessionId: string }> {
  count += 1
  const tenant = `quota-${count}`
  const alice = app.api({ tenant })
  return { tenant, alice, sessionId: await alice.createSession() }
}

/** Midnight in UTC, at which the period after this one begins. */
function nextStart(period: 'DAY' | 'MONTH'): string {
  const now = new Date()
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
  return new Date(period === 'DAY' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1)).toISOString()
}

describe('a quota', () => {
  it('is set by admins, shown with what is used, and taken away', async () => {
    const { tenant, alice, sessionId } = await setUp()
    expect(await quotaOf(alice)).toEqual([])
    await measure(alice, sessionId, { input: 30, output: 12, cached: 10 })
    const quota = { scope: 'EACH_USER', period: 'DAY', tokens: 100, cost: null }
    expect(await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 100 })).toEqual({
      ...quota,
      usedTokens: null,
      usedCost: null,
      resetAt: nextStart('DAY'),
    })
    const used = { usedTokens: 42, usedCost: '0.54' }
    expect(await quotaOf(alice)).toEqual([{ ...quota, ...used, resetAt: nextStart('DAY') }])
    await setQuota(app, tenant, { scope: 'TENANT', period: 'MONTH', cost: '12.50' })
    expect(await quotaOf(alice)).toMatchObject([
      quota,
      { scope: 'TENANT', period: 'MONTH', tokens: null, cost: '12.5', ...used, resetAt: nextStart('MONTH') },
    ])
    expect(await quotaOf(app.api({ tenant, user: 'bob' }))).toMatchObject([
      { scope: 'EACH_USER', usedTokens: 0 },
      { scope: 'TENANT', usedTokens: 42 },
    ])
    expect(await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY' })).toBeNull()
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    expect((await admin.run('{ auditLog { nodes { action } } }')).auditLog.nodes).toHaveLength(3)
    expect(await quotaOf(alice)).toMatchObject([{ scope: 'TENANT' }])
    const { setQuota: refused } = await alice.run(
      'mutation { setQuota(input: { scope: TENANT, period: DAY }) { ... on Error { code } } }',
    )
    expect(refused).toEqual({ code: 'FORBIDDEN' })
  })

  it('of a user goes before that of each user, and is read by admins and the user alone', async () => {
    const { tenant, alice } = await setUp()
    const { viewer } = await alice.run('{ viewer { user { id } tenant { id } } }')
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 1 })
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'MONTH', tokens: 2 })
    await setQuota(app, tenant, { scope: 'USER', userId: viewer.user.id, period: 'DAY', tokens: 3 })
    const own = [
      { scope: 'USER', tokens: 3 },
      { scope: 'EACH_USER', tokens: 2 },
    ]
    const ask = `query ($user: ID!, $tenant: ID!) {
      user: node(id: $user) { ... on User { quota { scope tokens } } }
      tenant: node(id: $tenant) { ... on Tenant { quota { scope tokens } } } }`
    const ids = { user: viewer.user.id, tenant: viewer.tenant.id }
    expect(await alice.run(ask, ids)).toEqual({
      user: { quota: expect.arrayContaining(own) },
      tenant: { quota: null },
    })
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    expect(await admin.run(ask, ids)).toEqual({
      user: { quota: expect.arrayContaining(own) },
      tenant: {
        quota: [
          { scope: 'EACH_USER', tokens: 1 },
          { scope: 'EACH_USER', tokens: 2 },
        ],
      },
    })
    const bob = app.api({ user: 'bob', tenant })
    const session = await bob.createSession()
    await bob.change('addParticipant', { sessionId: session, externalUserId: 'alice', role: 'VIEWER' })
    const seen = await bob.run(ask, ids)
    expect(seen.user?.quota ?? null).toBeNull()
  })

  it.each([
    [{ scope: 'USER', period: 'DAY', tokens: 1 }, 'userId: is missing; the scope USER names one'],
    [{ scope: 'TENANT', period: 'DAY', cost: '1.1234567890' }, /^cost: is not an amount/],
    [{ scope: 'TENANT', period: 'DAY', cost: '-1' }, /^cost: is not an amount/],
  ])('is refused as %j', async (input, message) => {
    const refused = await setQuota(app, 'quota-faults', input)
    expect(refused).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringMatching(message) })
  })

  it.each(doorNames)('that is used up refuses sends over %s, and says until when', async (door) => {
    const { tenant, alice, sessionId } = await setUp()
    await setQuota(app, tenant, { scope: 'TENANT', period: 'MONTH', tokens: 10_000 })
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 40 })
    await measure(alice, sessionId, { input: 30, output: 12 })
    const asked = requests.length
    const doors = await openDoors(app.url, app.token({ tenant }))
    const answer = await doors[door](
      `mutation ($id: ID!) { sendMessage(input: { sessionId: $id, content: "{}", model: "${meteredModel}" }) { ${refusal} } }`,
      { id: sessionId },
    )
    doors.close()
    const resetAt = nextStart('DAY')
    expect(answer).toEqual({
      data: {
        sendMessage: {
          __typename: 'QuotaError',
          code: 'LIMIT_EXCEEDED',
          message: `Your quota of 40 tokens a day is used up (42 tokens by now); it begins anew at ${resetAt}.`,
          scope: 'EACH_USER',
          period: 'DAY',
          unit: 'TOKENS',
          limit: '40',
          used: '42',
          resetAt,
        },
      },
    })
    expect(requests).toHaveLength(asked)
    const { session } = await alice.run('query ($id: ID!) { session(id: $id) { messageCount } }', {
      id: sessionId,
    })
    expect(session.messageCount).toBe(2)
  })

  it('of the tenant in dollars holds for all of its users, on every way to ask', async () => {
    const { tenant, alice, sessionId } = await setUp()
    await setQuota(app, tenant, { scope: 'TENANT', period: 'MONTH', cost: '0.50' })
    await measure(alice, sessionId, { input: 30, output: 10, cached: 10 })
    const bob = app.api({ user: 'bob', tenant })
    const refused = await measure(bob, await bob.createSession(), {})
    expect(refused).toMatchObject({ unit: 'COST', limit: '0.5', used: '0.5', resetAt: nextStart('MONTH') })
    expect(refused.message).toContain('The quota of the tenant of $0.5 a month is used up')
    const { session } = await alice.run(
      'query ($id: ID!) { session(id: $id) { messages { nodes { id } } } }',
      { id: sessionId },
    )
    const [question, reply] = session.messages.nodes
    expect(await alice.mutate('regenerateMessage', { messageId: reply.id })).toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
    expect(await alice.mutate('editMessage', { messageId: question.id, content: '{}' })).toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
  })

  it('begins anew with the day and the month', async () => {
    const { tenant, alice, sessionId } = await setUp()
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 10 })
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'MONTH', tokens: 25 })
    await measure(alice, sessionId, { input: 10 })
    expect(await measure(alice, sessionId, { input: 10 })).toMatchObject({ period: 'DAY' })
    const isFirstOfMonth = new Date().getUTCDate() === 1
    await ageUsage(app, '1 day')
    expect(await measure(alice, sessionId, { input: 20 })).toMatchObject({ status: 'COMPLETED' })
    // Of the two that are used up, the one that lasts longer is told.
    const refused = await measure(alice, sessionId, { input: 10 })
    if (!isFirstOfMonth) expect(refused).toMatchObject({ period: 'MONTH', used: '30' })
    await ageUsage(app, '1 month')
    expect(await measure(alice, sessionId, { input: 10 })).toMatchObject({ status: 'COMPLETED' })
  })

  it('that is used up meanwhile fails what waits in line, before the model is asked', async () => {
    const { tenant, alice, sessionId } = await setUp()
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 40 })
    const asked = recording.calls.length
    const send = () => alice.sendMessage({ sessionId, content: 'hello', model: recordedModel })
    const runs = [await send(), await send(), await send()].map(({ run }) => run.id as string)
    const { tell } = await recording.call(asked)
    tell(say('so'), { type: 'usage', usage: { inputTokens: 50, outputTokens: 0, cachedInputTokens: 0 } }, end)
    const readEnds = () => Promise.all(runs.map((id) => readRun(alice, id)))
    await expect
      .poll(async () => (await readEnds()).map(({ status }) => status))
      .toEqual(['COMPLETED', 'FAILED', 'FAILED'])
    const ends = await readEnds()
    expect(ends.find(({ status }) => status === 'FAILED')).toMatchObject({
      error: {
        code: 'LIMIT_EXCEEDED',
        message: expect.stringContaining('Your quota of 40 tokens a day is used up (50 tokens by now)'),
      },
      assistantMessage: { status: 'FAILED', content: '' },
      usage: { inputTokens: 0 },
    })
    expect(recording.calls).toHaveLength(asked + 1)
  })

  it('counts each round of tools, and stops before the next one', async () => {
    const { tenant, alice } = await setUp()
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    const tools = [{ name: 'look', description: 'Looks.', parameters: { type: 'object' } }]
    await admin.change('createAgent', { key: 'looker', name: 'Looker', tools })
    const sessionId = await alice.createSession({ agent: 'looker' })
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 40 })
    const run = await measure(alice, sessionId, { input: 50, end: 'tools' })
    expect(run.status).toBe('REQUIRES_ACTION')
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: 50 }])
    const asked = requests.length
    const watch = app
      .socket({ tenant })
      .watch(
        'subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename ... on RunFinished { run { id status error { code } } } } }',
        { id: sessionId },
      )
    await watch.at(0)
    const results = [{ toolCallId: 'call_1', content: 'seen' }]
    expect(await alice.mutate('submitToolResults', { runId: run.id, results })).not.toHaveProperty('code')
    const { run: over } = await watch.until(({ __typename: type }) => type === 'RunFinished')
    expect(over).toEqual({ id: run.id, status: 'FAILED', error: { code: 'LIMIT_EXCEEDED' } })
    expect(requests).toHaveLength(asked)
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: 50 }])
  })

  it('is passed by no more than the replies that were under way', async () => {
    const { tenant, alice } = await setUp()
    await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 100 })
    const sessions = await Promise.all([1, 2, 3, 4, 5].map(() => alice.createSession()))
    const ends = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        measure(alice, sessions[index % 5] ?? '', { input: 6, output: 4 }),
      ),
    )
    const completed = ends.filter(({ status }) => status === 'COMPLETED').length
    expect(completed).toBeGreaterThanOrEqual(10)
    // RUNS_PER_USER is 3.
    expect(completed).toBeLessThanOrEqual(10 + 2)
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: completed * 10 }])
  })
})
