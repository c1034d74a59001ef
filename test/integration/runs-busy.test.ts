import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ModelPart } from '../../src/llm/provider.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'
import type { Watch } from '../support/watch.ts'

const recordings = [createRecordingProvider(), createRecordingProvider()] as const
let nodes: [TestApp, TestApp]
beforeAll(async () => {
  const env = { RUNS_PER_USER: '100', MAX_SESSIONS_PER_AGENT: '100', RUN_CHECKPOINT_MS: '200' }
  const one = await startTestApp({ env, providers: [recordings[0].provider] })
  const { databaseUrl } = one
  nodes = [one, await startTestApp({ env, providers: [recordings[1].provider], databaseUrl })]
})
besideNeighbour(() => nodes[0])

let alice: Api
let sessionId: string
let watch: Watch
let before: [number, number]
beforeEach(async () => {
  alice = nodes[0].api()
  sessionId = await alice.createSession()
  watch = await watchRuns(nodes[0], sessionId)
  before = [recordings[0].calls.length, recordings[1].calls.length]
})

const send = (content: string, onBusy?: string, node: 0 | 1 = 0, more = {}) =>
  nodes[node].api().sendMessage({ sessionId, content, model, ...(onBusy ? { onBusy } : {}), ...more })

/** The calls of this test, on both nodes. */
const calls = () => [...recordings[0].calls.slice(before[0]), ...recordings[1].calls.slice(before[1])]
const asked = () => calls().map(({ request }) => request.messages.at(-1)?.content)

/** A reply that is being written. */
async function startReply(content = 'first') {
  const sent = await send(content)
  const call = await recordings[0].call(before[0])
  call.tell(say('Half'))
  await watch.until(({ text }) => text === 'Half')
  return { ...sent, call }
}

async function conversation() {
  const { session } = await alice.run(
    `query ($id: ID!) { session(id: $id) { messageCount activeRun { id } queuedRuns { id queuePosition }
      messages { nodes { id role content status } } } }`,
    { id: sessionId },
  )
  return session
}

describe('a send to a session that is answering', () => {
  it('waits in line, if nothing else is said', async () => {
    const first = await startReply()
    const second = await send('second', 'ENQUEUE')
    expect(second.run.status).toBe('QUEUED')
    first.call.tell(end)
    await expect.poll(asked, { interval: 5 }).toEqual(['first', 'second'])
    expect((await readRun(alice, first.run.id)).status).toBe('COMPLETED')
    calls().at(-1)?.tell(end)
  })

  it('is refused where it asks for that, and nothing is stored', async () => {
    const first = await startReply()
    const refused = { code: 'RUN_IN_PROGRESS', message: expect.stringContaining('answering already') }
    expect(await send('second', 'REJECT')).toEqual(refused)
    await send('third')
    first.call.tell(end)
    await expect.poll(asked, { interval: 5 }).toEqual(['first', 'third'])
    expect(await send('fourth', 'REJECT')).toEqual(refused)
    calls()[1]?.tell(end)
    await watch.until(({ __typename, run }) => __typename === 'RunFinished' && run.id !== first.run.id)
    expect((await conversation()).messageCount).toBe(4)
    const last = await send('fifth', 'REJECT')
    expect(last.run.status).toBe('RUNNING')
  })

  it('is refused for all but one of those that come at once', async () => {
    const sessionIds = await Promise.all(Array.from({ length: 20 }, () => alice.createSession()))
    for (const sessionId of sessionIds) {
      const sent = await Promise.all(
        ([0, 1, 0, 1] as const).map((node) => send('message', 'REJECT', node, { sessionId })),
      )
      expect(sent.filter(({ run }) => run).length).toBe(1)
      expect(sent.filter(({ code }) => code === 'RUN_IN_PROGRESS').length).toBe(3)
    }
    // The copies of one are that one.
    const other = await alice.createSession()
    const copies = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        send('the same', 'REJECT', index % 2 === 0 ? 0 : 1, { sessionId: other, clientId: 'one' }),
      ),
    )
    expect(new Set(copies.map(({ run }) => run?.id)).size).toBe(1)
    expect(copies[0].run).toBeDefined()
  })

  it('interrupts, keeps the text, and goes before all that wait', async () => {
    const first = await startReply()
    const waiting = await send('waiting')
    const urgent = await send('urgent', 'INTERRUPT')
    await first.call.aborted
    await watch.until(runEnd(first.run.id))
    expect(await readRun(alice, first.run.id)).toMatchObject({
      status: 'CANCELLED',
      assistantMessage: { status: 'CANCELLED', content: 'Half' },
    })
    await expect.poll(asked, { interval: 5 }).toEqual(['first', 'urgent'])
    const call = calls()[1]
    // What waits was not said yet.
    expect(call?.request.messages.map(({ content }) => content).slice(-3)).toEqual([
      'first',
      'Half',
      'urgent',
    ])
    expect((await conversation()).queuedRuns).toEqual([{ id: waiting.run.id, queuePosition: 0 }])
    call?.tell(say('done'), end)
    await expect.poll(asked, { interval: 5 }).toEqual(['first', 'urgent', 'waiting'])
    const last = calls()[2]
    expect(last?.request.messages.map(({ content }) => content).slice(-5)).toEqual([
      'first',
      'Half',
      'urgent',
      'done',
      'waiting',
    ])
    last?.tell(end)
    await watch.until(runEnd(waiting.run.id))
    expect((await readRun(alice, urgent.run.id)).status).toBe('COMPLETED')
  })

  it('interrupts on the other node, too', async () => {
    const first = await startReply()
    const urgent = await send('urgent', 'INTERRUPT', 1)
    await first.call.aborted
    await expect.poll(asked, { interval: 5 }).toEqual(['first', 'urgent'])
    calls()[1]?.tell(end)
    const status = async () => (await readRun(alice, urgent.run.id)).status
    await expect.poll(status, { interval: 20 }).toBe('COMPLETED')
  })

  it('that interrupts at once with others leaves one running at a time, and none unanswered', async () => {
    const first = await startReply()
    const contents = Array.from({ length: 8 }, (_, index) => `urgent ${index}`)
    const sent = await Promise.all(
      contents.map((content, index) => send(content, 'INTERRUPT', index % 2 === 0 ? 0 : 1)),
    )
    expect(sent.every(({ run }) => run)).toBe(true)
    await first.call.aborted
    const over = async () =>
      (await Promise.all(sent.map(({ run }) => readRun(alice, run.id)))).filter(
        ({ finishedAt }) => finishedAt,
      )
    while ((await over()).length < sent.length) {
      const open = calls().filter(({ signal }) => !signal.aborted)
      for (const call of open) call.tell(end)
      const { activeRun } = await conversation()
      expect([null, expect.anything()]).toContainEqual(activeRun)
    }
    const statuses = (await over()).map(({ status }) => status)
    expect(statuses.every((status) => status === 'COMPLETED' || status === 'CANCELLED')).toBe(true)
    // Each was asked for at most once, and what was not cancelled was.
    expect(new Set(asked()).size).toBe(asked().length)
    expect(asked().length).toBeGreaterThanOrEqual(1 + statuses.filter((each) => each === 'COMPLETED').length)
  })

  it('rolls back: the running reply and its question leave the conversation', async () => {
    const earlier = await send('/earlier')
    await recordings[0].call(before[0]).then((call) => call.tell(say('said'), end))
    await watch.until(runEnd(earlier.run.id))
    const usage = async () =>
      (
        await alice.run('query ($id: ID!) { session(id: $id) { usage { inputTokens outputTokens } } }', {
          id: sessionId,
        })
      ).session.usage
    const usageBefore = await usage()
    const wrong = await send('wrong')
    const call = await recordings[0].call(before[0] + 1)
    call.tell(say('Half'), {
      type: 'usage',
      usage: { inputTokens: 5, outputTokens: 1, cachedInputTokens: 0 },
    })
    await watch.until(({ text }) => text === 'Half')
    const waiting = await send('waiting')
    const right = await send('right', 'ROLLBACK')
    await watch.until(runEnd(wrong.run.id))
    expect(call.signal.aborted).toBe(true)
    const gone = [wrong.userMessage.id, wrong.assistantMessage.id]
    for (const id of gone)
      await watch.until((event) => event.__typename === 'MessageRemoved' && event.messageId === id)
    await expect.poll(asked, { interval: 5 }).toEqual(['/earlier', 'wrong', 'right'])
    const next = calls()[2]
    expect(next?.request.messages.map(({ content }) => content).slice(-3)).toEqual([
      '/earlier',
      'said',
      'right',
    ])
    // Without this theirs would be reckoned.
    const unused: ModelPart = {
      type: 'usage',
      usage: { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 },
    }
    next?.tell(unused, end)
    await expect.poll(asked, { interval: 5 }).toEqual(['/earlier', 'wrong', 'right', 'waiting'])
    calls()[3]?.tell(unused, end)
    await watch.until(runEnd(waiting.run.id))
    const session = await conversation()
    expect(session.messages.nodes.map(({ content }: { content: string }) => content)).toEqual([
      '/earlier',
      'said',
      'waiting',
      '',
      'right',
      '',
    ])
    expect(session.messageCount).toBe(6)
    expect((await readRun(alice, right.run.id)).status).toBe('COMPLETED')
    expect(await readRun(alice, wrong.run.id)).toBeNull()
    // What it used stays counted.
    expect(await usage()).toEqual({
      inputTokens: usageBefore.inputTokens + 5,
      outputTokens: usageBefore.outputTokens + 1,
    })
  })

  it('rolls back for the author of the question and the owner alone', async () => {
    const first = await startReply()
    const bob = { sessionId, externalUserId: 'bob', role: 'EDITOR' }
    const added = await alice.mutate('addParticipant', bob)
    expect(added).not.toHaveProperty('code')
    const refused = await nodes[0]
      .api({ user: 'bob' })
      .sendMessage({ sessionId, content: 'mine', model, onBusy: 'ROLLBACK' })
    expect(refused.code).toBe('FORBIDDEN')
    expect(first.call.signal.aborted).toBe(false)
    expect((await conversation()).messageCount).toBe(2)
    first.call.tell(end)
    await watch.until(runEnd(first.run.id))
  })

  it.each(['INTERRUPT', 'ROLLBACK'])('is answered at once where nothing is: %s', async (policy) => {
    const sent = await send('hello', policy)
    expect(sent.run.status).toBe('RUNNING')
    const call = await recordings[0].call(before[0])
    call.tell(say('hi'), end)
    await watch.until(runEnd(sent.run.id))
    expect((await conversation()).messages.nodes.map(({ content }: { content: string }) => content)).toEqual([
      'hello',
      'hi',
    ])
  })
})
