import { beforeAll, describe, expect, it, vi } from 'vitest'
import { readRun } from '../support/runs.ts'
import { createServerProcess, type ServerProcess } from '../support/server-process.ts'
import { bySeq, createSessionReader, watchSession } from '../support/session-reader.ts'
import { complete, user } from './stateless.harness.ts'

// Servers start and stop here, on whatever machine.
vi.setConfig({ testTimeout: 60_000 })

const failUnheard = `process.on('SIGUSR2', () => void Promise.reject(new Error('Nobody waits for this.')))`

let server: ServerProcess
beforeAll(async () => {
  server = await createServerProcess({
    RUN_CHECKPOINT_MS: '100',
    RUNS_PER_USER: '20',
    SHUTDOWN_TIMEOUT_MS: '1000',
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(failUnheard)}`,
  })
  await server.start()
})

it('a failure that nobody waits for does not end a server', async () => {
  const sessionId = await server.api().createSession()
  server.tell('SIGUSR2')
  // It comes on another way than requests do.
  for (let asked = 0; asked < 20; asked += 1) await server.api().run('{ viewer { role } }')
  const { run } = await server.api().sendMessage({ sessionId, content: 'x', wait: true })
  expect(run.status).toBe('COMPLETED')
})

/** A session in the middle of a reply that would take a minute; the reader has seen some of it. */
async function startReply() {
  const sessionId = await server.api().createSession()
  const watch = server.socket().watch(watchSession, { sessionId })
  const reader = createSessionReader()
  reader.take(await watch.at(0))
  const { run, assistantMessage } = await server
    .api()
    .sendMessage({ sessionId, content: '/pace 40 /long 2400' })
  return { sessionId, watch, reader, run, messageId: assistantMessage.id as string }
}

/** All that a watch has got before its end, which is not the subscription's. */
async function takeAll({ watch, reader }: Pick<Awaited<ReturnType<typeof startReply>>, 'watch' | 'reader'>) {
  await watch.ended
  for (const event of watch.events.slice(reader.names.length)) reader.take(event)
}

const closeCode = (failure: unknown) => (failure as { code?: number } | undefined)?.code

describe('a server that is killed in the middle of replies', () => {
  it('comes back with all that it acknowledged, and tells readers what became of it', async () => {
    const one = await startReply()
    const alice = server.api()
    const queued = await alice.sendMessage({ sessionId: one.sessionId, content: 'the next in line' })
    const asked = { clientId: 'stateless', messages: [user('/pace 40 /long 2400')] }
    const stateless = await complete(alice, asked)
    const others = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const sessionId = await alice.createSession({ title: `session ${index}` })
        return alice.sendMessage({ sessionId, content: `question ${index}`, clientId: `key ${index}` })
      }),
    )
    // Enough that a checkpoint has come: it takes 100 ms, this half a second.
    await one.watch.until(({ __typename, offset }) => __typename === 'TextDelta' && offset > 120)
    await server.end('SIGKILL')
    await takeAll(one)
    const seen = one.reader.messages.get(one.messageId)?.content ?? ''
    expect(closeCode(one.watch.failure)).toBe(1006)

    await server.start()
    const back = server.api()
    const interrupted = await readRun(back, one.run.id)
    expect(interrupted).toMatchObject({
      status: 'INTERRUPTED',
      error: { code: 'INTERNAL_SERVER_ERROR' },
      assistantMessage: { status: 'INTERRUPTED' },
    })
    const cut = await readRun(back, stateless.run.id)
    expect(cut).toMatchObject({ status: 'INTERRUPTED', assistantMessage: { status: 'INTERRUPTED' } })
    expect(cut.assistantMessage.content.length).toBeGreaterThan(20)
    // Asked again, it is the same run: no second call of the model.
    expect((await complete(back, asked)).run).toMatchObject({ id: stateless.run.id, status: 'INTERRUPTED' })
    const { content } = interrupted.assistantMessage
    expect(content.length).toBeGreaterThan(20)
    expect(seen.slice(0, content.length)).toBe(content)
    for (const { run, userMessage } of others) {
      const kept = await readRun(back, run.id)
      expect(kept.userMessage).toEqual({ seq: 1, content: userMessage.content })
      expect(['COMPLETED', 'INTERRUPTED', 'RUNNING', 'QUEUED']).toContain(kept.status)
    }

    const watch = server.socket().watch(watchSession, { sessionId: one.sessionId, after: one.reader.cursor })
    const { names } = one.reader
    const before = names.length
    const isDone = (event: {
      __typename: string
      reason?: string
      messages?: { id: string; status: string }[]
    }) =>
      event.__typename === 'RunFinished' ||
      event.messages?.find(({ id }) => id === queued.assistantMessage.id)?.status === 'COMPLETE'
    await one.reader.takeUntil(watch, isDone)
    expect(names[before]).toBe('GAP')
    expect(names.slice(before + 1)).not.toContain('GAP')
    expect(one.reader.messages.get(one.messageId)).toMatchObject({ status: 'INTERRUPTED', content })
    expect(await readRun(back, queued.run.id)).toMatchObject({ status: 'COMPLETED' })
    const { session } = await back.run(
      `query ($id: ID!) { session(id: $id) { messages { nodes { id seq role status content } } } }`,
      { id: one.sessionId },
    )
    expect(bySeq(one.reader.messages.values())).toEqual(session.messages.nodes)
    expect(session.messages.nodes.map(({ seq }: { seq: number }) => seq)).toEqual([1, 2, 3, 4])
  })
})

describe('a server that is told to stop', () => {
  it('lets replies end on SIGTERM, and interrupts the rest', async () => {
    const alice = server.api()
    const [short, long] = [await alice.createSession(), await alice.createSession()]
    const socket = server.socket()
    const watches = [short, long].map((sessionId) => socket.watch(watchSession, { sessionId }))
    for (const watch of watches) await watch.at(0)
    const quick = await alice.sendMessage({
      sessionId: short,
      content: '/pace 30 /repeat one two three four five six',
    })
    const slow = await alice.sendMessage({ sessionId: long, content: '/pace 40 /long 2400' })
    for (const watch of watches) await watch.until(({ __typename }) => __typename === 'TextDelta')

    expect(await server.end('SIGTERM')).toBe(0)
    for (const watch of watches) {
      await watch.ended
      expect(closeCode(watch.failure)).toBe(1012)
    }
    const told = (index: number) =>
      watches[index]?.events
        .filter(({ text }) => text)
        .map(({ text }) => text)
        .join('')
    await server.start()
    const ends = [await readRun(server.api(), quick.run.id), await readRun(server.api(), slow.run.id)]
    expect(ends).toMatchObject([
      { status: 'COMPLETED', assistantMessage: { status: 'COMPLETE', content: told(0) } },
      { status: 'INTERRUPTED', error: null, assistantMessage: { status: 'INTERRUPTED', content: told(1) } },
    ])
    expect(told(1)?.length).toBeGreaterThan(20)
  })

  it('stops at once on SIGINT, and keeps the text so far', async () => {
    const { watch, run } = await startReply()
    await watch.until(({ __typename }) => __typename === 'TextDelta')
    const askedAtMs = performance.now()
    expect(await server.end('SIGINT')).toBe(0)
    // The reply would have taken a minute.
    expect(performance.now() - askedAtMs).toBeLessThan(10_000)
    await watch.ended
    expect(closeCode(watch.failure)).toBe(1012)
    const told = watch.events.map(({ text }) => text ?? '').join('')
    await server.start()
    const { status, assistantMessage } = await readRun(server.api(), run.id)
    expect([status, assistantMessage.status]).toEqual(['INTERRUPTED', 'INTERRUPTED'])
    // With the word, at most, that came while the socket was told to come back elsewhere.
    const { content } = assistantMessage
    expect(content.slice(0, told.length)).toBe(told)
    expect(content.slice(told.length).trim().split(/\s+/).length).toBeLessThan(3)
  })
})
