import type { SessionState } from '@parley/client'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { failureOf, openClient, textOf } from '../support/client.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { RUN_COALESCE_MS: '0', SENDS_PER_MINUTE: '0' } })
})

describe.each(['websocket', 'sse'] as const)('a client over %s', (transport) => {
  it('sends, reads the reply as it is written, and has the message at the end', async () => {
    await using parley = openClient(app, { transport })
    const session = await parley.createSession({ title: 'Tides' })
    const reply = session.send('/unicode /long 120')
    const { userMessage } = await reply.sent
    const [text, again] = await Promise.all([textOf(reply), textOf(reply)])
    const { message, run } = await reply.done
    expect(userMessage).toMatchObject({ role: 'USER', content: '/unicode /long 120' })
    expect(message).toMatchObject({ role: 'ASSISTANT', status: 'COMPLETE', content: text })
    expect(run.status).toBe('COMPLETED')
    expect(again).toBe(text)
    expect(reply.text).toBe(text)
    expect(text.length).toBeGreaterThan(400)
  })

  it('keeps the state of a session', async () => {
    await using parley = openClient(app, { transport })
    const session = await parley.createSession()
    const states = session.watch()
    const first = await states.next()
    expect(first.value).toMatchObject({ messages: [], runs: [], hasGap: false })
    const { done } = session.send('/long 60')
    let state: SessionState | undefined
    for await (state of states) if (state.messages[1]?.status === 'COMPLETE' && state.runs.length === 0) break
    const { message } = await done
    expect(state?.messages.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT'])
    expect(state?.messages[1]?.content).toBe(message.content)
  })

  it('stops a reply', async () => {
    await using parley = openClient(app, { transport })
    const session = await parley.createSession()
    const reply = session.send('/pace 20 /long 500')
    for await (const piece of reply) if (piece) break
    await reply.stop()
    const { message, run } = await reply.done
    expect(run.status).toBe('CANCELLED')
    expect(message).toMatchObject({ status: 'CANCELLED', content: reply.text })
    expect(reply.text).not.toBe('')
  })
})

describe('a client', () => {
  it('gives one session and one message, however often it has to ask', async () => {
    let lost = 0
    /** The request arrives, and the answer is lost, every other time. */
    const lossy: typeof fetch = async (...request) => {
      const response = await fetch(...request)
      if (++lost % 2 === 0) return response
      await response.body?.cancel()
      throw new TypeError('The network failed.')
    }
    await using parley = openClient(app, { fetch: lossy })
    const session = await parley.createSession({ title: 'Once' })
    const { message } = await session.send('Say it once.').done
    const { messages } = await session.read()
    expect(messages.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT'])
    expect(messages[1]).toEqual(message)
    const { sessions } = await app.api().run('{ sessions(filter: { title: "Once" }) { totalCount } }')
    expect(sessions.totalCount).toBe(1)
  })

  it('does not ask again for what the server could not know again', async () => {
    let asked = 0
    const failing: typeof fetch = async () => {
      asked += 1
      throw new TypeError('The network failed.')
    }
    await using parley = openClient(app, { fetch: failing, retries: 2 })
    const update = 'mutation ($input: UpdateSessionInput!) { updateSession(input: $input) { __typename } }'
    await expect(parley.request(update, { input: {} })).rejects.toMatchObject({ code: 'NETWORK' })
    expect(asked).toBe(1)
    await expect(parley.request('{ viewer { role } }')).rejects.toMatchObject({ code: 'NETWORK' })
    expect(asked).toBe(1 + 3)
  })

  it('gives up in time where nobody answers', async () => {
    let asked = 0
    const silent: typeof fetch = (_url, init) => {
      asked += 1
      return new Promise((_, reject) =>
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
      )
    }
    await using parley = openClient(app, { fetch: silent })
    const request = parley.request('{ viewer { role } }', {}, { timeoutMs: 50 })
    await expect(request).rejects.toMatchObject({ code: 'TIMEOUT', isTransient: true })
    expect(asked).toBe(1)
  })

  it('throws typed errors', async () => {
    await using parley = openClient(app)
    const tooLong = await failureOf(parley.createSession({ title: 'x'.repeat(256) }))
    expect(tooLong).toMatchObject({ name: 'ParleyError', code: 'BAD_USER_INPUT', isTransient: false })
    expect(tooLong.fields).toEqual([{ path: 'title', message: expect.stringContaining('255') }])
    const nowhere = parley.session('session_01h455vb4pex5vsknk084sn02q')
    await expect(nowhere.read()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(nowhere.events().next()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const overSse = openClient(app, { transport: 'sse' }).session(nowhere.id)
    await expect(overSse.events().next()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(nowhere.send('Hello?').done).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(parley.request('{ nothing }')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
    const session = await parley.createSession()
    await using busy = session.send('/stall')
    await busy.sent
    const refused = session.send('Now!', { onBusy: 'REJECT' })
    await expect(textOf(refused)).rejects.toMatchObject({ code: 'RUN_IN_PROGRESS' })
    await session.stop()
  })

  it('ends what is under way when it is told to', async () => {
    const parley = openClient(app)
    const session = await parley.createSession()
    const leaving = new AbortController()
    const events = session.events()
    const watched = session.events({ signal: leaving.signal })
    expect((await events.next()).value).toMatchObject({ __typename: 'SessionSnapshot', reason: 'START' })
    await watched.next()
    const none = events.next()
    await events.return?.()
    expect(await none).toEqual({ done: true, value: undefined })
    const aborted = failureOf(watched.next())
    leaving.abort(new Error('I left.'))
    expect(await aborted).toBe(leaving.signal.reason)
    const reply = session.send('/stall')
    await reply.sent
    parley.close()
    await expect(reply.done).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(session.read()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it.each(['websocket', 'sse'] as const)('says that nobody answers over %s', async (transport) => {
    // Nothing listens there.
    await using parley = openClient(app, { url: 'http://127.0.0.1:9/graphql', transport, retries: 0 })
    await expect(parley.createSession()).rejects.toMatchObject({ code: 'NETWORK', isTransient: true })
    const lost = new Promise<unknown>((resolve) => {
      parley.onStatus((status) => status.state === 'reconnecting' && resolve(status.error.code))
    })
    const events = parley.session('session_01h455vb4pex5vsknk084sn02q').events()
    const next = events.next()
    expect(await lost).toBe('NETWORK')
    await events.return?.()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(parley.status()).toEqual({ state: 'idle' })
  })

  it('takes no other page for the API', async () => {
    await using parley = openClient(app, { url: `${app.url}/health` })
    await expect(parley.createSession()).rejects.toMatchObject({ code: 'NETWORK', isTransient: false })
  })
})

describe('a reply', () => {
  it('is followed through tools, edits and new answers', async () => {
    const parameters = { type: 'object' }
    const tools = [{ name: 'tide_at', description: 'The next high tide.', parameters }]
    const agent = { key: 'harbour', name: 'Harbour', tools, memoryTools: true }
    await app.api({ user: 'root', role: 'ADMIN' }).change('createAgent', agent)
    await using parley = openClient(app)
    const session = await parley.createSession({ agent: 'harbour' })

    // The server calls its own tools by itself, so that the run has two messages, one of them with the call only.
    const remembered = session.send('/long 30 /tool memory_save {"key": "port", "value": "Brest"}')
    const { message: first, run } = await remembered.done
    expect(run.status).toBe('COMPLETED')
    const { messages } = await session.read()
    const written = messages.filter(({ role }) => role === 'ASSISTANT').map(({ content }) => content)
    expect(written).toHaveLength(2)
    expect(written[1]).toBe(first.content)
    expect(await textOf(remembered)).toBe(written.join(''))

    const asking = await session.send('/tool tide_at {"place": "Brest"}').done
    expect(asking.run).toMatchObject({ status: 'REQUIRES_ACTION', pendingToolCalls: [{ name: 'tide_at' }] })
    const results = asking.run.pendingToolCalls.map(({ toolCallId }) => ({ toolCallId, content: '14:10' }))
    const told = session.submitToolResults(asking.run.id, results)
    const text = await textOf(told)
    expect(await told.done).toMatchObject({
      run: { id: asking.run.id, status: 'COMPLETED' },
      message: { content: text },
    })

    const again = await session.regenerate((await told.done).message.id).done
    expect(again.run.status).toBe('COMPLETED')
    const { userMessage } = await session.send('A question.').sent
    const edited = session.edit(userMessage.id, '/repeat Another one.')
    expect(await textOf(edited)).toBe('Another one.')
    expect((await edited.sent).userMessage.content).toBe('/repeat Another one.')

    const alone = parley.complete({ messages: [{ role: 'USER', content: '/repeat No session.' }] })
    expect(await textOf(alone)).toBe('No session.')
    expect((await alone.done).run.status).toBe('COMPLETED')
  })
})

describe.each(['websocket', 'sse'] as const)('tokens over %s', (transport) => {
  it('are asked for anew when the server refuses the last one', async () => {
    const short = app.token({ expiresInSeconds: 2 })
    // 30 s of tolerance for clocks that are behind; and a provider whose own clock is, so that it gives one twice.
    const tokens = [app.token({ expiresInSeconds: -60 }), short, short, app.token()]
    let asked = 0
    const token = async () => tokens[asked++] ?? expect.fail('It asks too often.')
    await using parley = openClient(app, { token, transport })
    const session = await parley.createSession()
    // It outlives the second token.
    const reply = session.send('/pace 40 /long 120')
    const text = await textOf(reply)
    expect((await reply.done).message).toMatchObject({ status: 'COMPLETE', content: text })
    expect(asked).toBeGreaterThan(2)
  })

  it('that nothing can be done about end everything', async () => {
    const stale = app.token({ expiresInSeconds: -60 })
    for (const token of [stale, () => stale, 'no token']) {
      await using parley = openClient(app, { token, transport })
      const { events, read } = parley.session('session_01h455vb4pex5vsknk084sn02q')
      await expect(events().next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      await expect(read()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    }
  })
})
