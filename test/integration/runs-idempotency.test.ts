import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  // Twenty copies at once on a busy machine may wait for a connection for a while.
  const env = { DATABASE_POOL_WAIT_MS: '20000' }
  app = await startTestApp({ env, providers: [recording.provider] })
})
besideNeighbour(() => app)

describe('sendMessage with a clientId', () => {
  it('sends once, however many copies race', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const before = recording.calls.length
    const input = { sessionId, content: 'hello', clientId: 'one', model, parameters: { temperature: 1 } }
    const socket = app.socket()
    const viaSocket = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      ... on SendMessagePayload { userMessage { id } assistantMessage { id } run { id } } } }`
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, copy) =>
        copy % 2 === 0
          ? alice.sendMessage(input)
          : ((await socket.run(viaSocket, { input })).data?.sendMessage as typeof input & {
              run: { id: string }
            }),
      ),
    )
    const ids = answers.map((sent) => [sent.userMessage.id, sent.assistantMessage.id, sent.run.id].join())
    expect(new Set(ids).size).toBe(1)
    const call = await recording.call(before)
    call.tell(say('hi'), end)
    const [{ run }] = answers
    await watch.until(runEnd(run.id))

    // A copy that comes long after gives what has become of it.
    const late = await alice.sendMessage(input)
    expect(late).toMatchObject({
      run: { id: run.id, status: 'COMPLETED' },
      assistantMessage: { content: 'hi' },
    })
    expect(await alice.sendMessage({ ...input, wait: true })).toEqual(late)

    const { session } = await alice.run(
      `query ($id: ID!) { session(id: $id) { messageCount messages { nodes { seq } } } }`,
      { id: sessionId },
    )
    expect(session).toEqual({ messageCount: 2, messages: { nodes: [{ seq: 1 }, { seq: 2 }] } })
    expect(watch.events.filter(({ __typename }) => __typename === 'RunQueued').length).toBe(1)
    expect(recording.calls.length).toBe(before + 1)
    expect((await readRun(alice, run.id)).userMessage.content).toBe('hello')
  })

  it('refuses other arguments under the same key', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const input = { sessionId, content: 'hello', clientId: 'one' }
    const { run } = await alice.sendMessage({ ...input, wait: true })
    for (const other of [{ content: 'hello!' }, { model: 'demo:chat' }, { parameters: { seed: 1 } }])
      expect(await alice.sendMessage({ ...input, ...other })).toMatchObject({ code: 'CONFLICT' })
    expect((await alice.sendMessage(input)).run.id).toBe(run.id)
  })

  it('tells racing copies with other words that they conflict', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const sent = await Promise.all(
      Array.from({ length: 10 }, (_, copy) =>
        alice.sendMessage({ sessionId, clientId: 'one', content: `word ${copy % 2}` }),
      ),
    )
    const won = sent.filter(({ run }) => run)
    expect(won.length).toBe(5)
    expect(new Set(won.map(({ run }) => run.id)).size).toBe(1)
    expect(sent.filter(({ code }) => code === 'CONFLICT').length).toBe(5)
  })

  it('means another message in another session', async () => {
    const alice = app.api()
    const input = { content: 'hello', clientId: 'one' }
    const first = await alice.sendMessage({ ...input, sessionId: await alice.createSession() })
    const second = await alice.sendMessage({ ...input, sessionId: await alice.createSession() })
    expect(second.run.id).not.toBe(first.run.id)
  })
})
