import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun, runEnd } from '../support/runs.ts'
import type { Watch } from '../support/watch.ts'
import {
  calling,
  paused,
  readPending,
  saying,
  startTravel,
  submit,
  type Travel,
  type TravelSession,
  weather,
} from './runs-tools.harness.ts'

let travel: Travel
let alice: Api
let sessionId: string
let watch: Watch
let before: number
let startPaused: TravelSession['startPaused']
beforeAll(async () => {
  travel = await startTravel()
  alice = travel.alice
})
beforeEach(async () => {
  ;({ sessionId, watch, before, startPaused } = await travel.open())
})
const call = (place: number) => travel.recordings[0].call(before + place)

describe('results of tools', () => {
  it('are taken whole or not at all, with every fault named', async () => {
    const { run } = await startPaused(weather('a'), { id: 'b', name: 'book_flight' })
    const refused = async (results: object[], ...messages: (string | RegExp)[]) => {
      const error = await submit(alice, run.id, results)
      expect(error.code).toBe('BAD_USER_INPUT')
      for (const message of messages) expect(error.message).toMatch(message)
    }
    const a = { toolCallId: 'a', content: 'Rain.' }
    const b = { toolCallId: 'b', content: 'Booked.', approved: true }
    await refused([], /results: is empty/)
    await refused([a], /results: has no result for "b" \(book_flight\)/)
    await refused([a, b, { toolCallId: 'c', content: '' }], /results\.2\.toolCallId: "c" is no call/)
    await refused([a, b, a], /results\.2\.toolCallId: "a" has a result already/)
    await refused([a, { ...b, approved: null }], /results\.1\.approved: is missing; book_flight/)
    await refused([{ toolCallId: 'a' }, b], /results\.0\.content: is missing/)
    const { session } = await alice.run('query ($id: ID!) { session(id: $id) { messageCount } }', {
      id: sessionId,
    })
    expect(session.messageCount).toBe(2)
    expect((await submit(alice, run.id, [a, b])).run.status).toBe('RUNNING')
    ;(await call(1)).tell(...saying('Done.'))
    await watch.until(runEnd(run.id))
    expect(await submit(alice, run.id, [a, b])).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('its status is COMPLETED'),
    })
  })

  it('count once, however many give them at once', async () => {
    const { run } = await startPaused(weather())
    const given = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        submit(travel.nodes[index % 2 === 0 ? 0 : 1].api(), run.id, [
          { toolCallId: 'call_1', content: `Answer ${index}` },
        ]),
      ),
    )
    expect(given.filter(({ run }) => run).length).toBe(1)
    const refused = given.filter(({ code }) => code)
    expect(refused.map(({ code }) => code)).toEqual(Array(9).fill('BAD_USER_INPUT'))
    const calls = () => [...travel.recordings[0].calls.slice(before + 1), ...travel.recordings[1].calls]
    const next = () => calls().find(({ request }) => /^Answer/.test(request.messages.at(-1)?.content ?? ''))
    await expect.poll(next, { interval: 5 }).toBeDefined()
    next()?.tell(...saying('Done.'))
    await expect.poll(async () => (await readRun(alice, run.id)).status, { interval: 20 }).toBe('COMPLETED')
    const { session } = await alice.run('query ($id: ID!) { session(id: $id) { messageCount } }', {
      id: sessionId,
    })
    expect(session.messageCount).toBe(4)
  })

  it('may be asked for so many times, and then no more', async () => {
    const { run } = await startPaused(weather('round 0'))
    for (const round of [1, 2]) {
      const told = watch.events.length
      await submit(alice, run.id, [{ toolCallId: `round ${round - 1}`, content: 'Rain.' }])
      const asked = await call(round)
      asked.tell(say(`Once more ${round}.`), ...calling(weather(`round ${round}`)))
      if (round === 1)
        await watch.until((event) => watch.events.indexOf(event) >= told && paused(run.id)(event))
    }
    await watch.until(runEnd(run.id))
    expect(await readRun(alice, run.id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'LIMIT_EXCEEDED', message: expect.stringContaining('more than 2 times') },
      usage: { inputTokens: 30 },
      assistantMessage: { status: 'FAILED', finishReason: 'LENGTH', content: 'Once more 2.' },
    })
  })

  it('of a run that was cancelled come too late', async () => {
    const { run } = await startPaused(weather())
    const cancelled = await cancelRun(travel.nodes[1].api(), run.id)
    expect(cancelled).toMatchObject({
      status: 'CANCELLED',
      usage: { inputTokens: 10, outputTokens: 2 },
      assistantMessage: { status: 'CANCELLED', content: 'Let me see.', toolCalls: [{ id: 'call_1' }] },
    })
    expect(await submit(alice, run.id, [{ toolCallId: 'call_1', content: 'Rain.' }])).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('its status is CANCELLED'),
    })
    // The turn is free.
    const next = await alice.sendMessage({ sessionId, content: 'hello', model })
    expect(next.run.status).toBe('RUNNING')
    await cancelRun(alice, next.run.id)
  })

  it('or a cancel: one of the two is first, 30 times', async () => {
    const sessions = await Promise.all(
      Array.from({ length: 30 }, () => alice.createSession({ agent: 'traveller' })),
    )
    await Promise.all(
      sessions.map(async (sessionId) => {
        const content = '/tool get_weather {"city": "Oslo"}'
        const sent = await alice.sendMessage({ sessionId, content })
        // Whichever node has taken it: they tell each other nothing here.
        const read = () => readPending(alice, sent.run.id)
        await expect.poll(async () => (await read()).status, { interval: 20 }).toBe('REQUIRES_ACTION')
        const { pendingToolCalls } = await read()
        const results = [{ toolCallId: pendingToolCalls[0].toolCallId, content: 'Rain.' }]
        const [given, cancelled] = await Promise.all([
          submit(alice, sent.run.id, results),
          cancelRun(alice, sent.run.id),
        ])
        await expect
          .poll(async () => (await readRun(alice, sent.run.id)).finishedAt, { interval: 20 })
          .not.toBeNull()
        const { status, assistantMessage } = await readRun(alice, sent.run.id)
        expect(['CANCELLED', 'COMPLETED']).toContain(status)
        expect(assistantMessage.status).toBe(status === 'COMPLETED' ? 'COMPLETE' : 'CANCELLED')
        if (given.code) expect(status).toBe('CANCELLED')
        expect(cancelled).not.toHaveProperty('code')
      }),
    )
  })
})
