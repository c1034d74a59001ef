import { describe, expect, it, onTestFinished } from 'vitest'
import { titleIn } from '../../src/features/runs/titles.ts'
import { decodeId } from '../../src/lib/ids.ts'
import { type ModelPart, type ModelRequest, type Provider, ProviderError } from '../../src/llm/provider.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { ask, follow, read } from './messages.harness.ts'

const usage = { inputTokens: 40, outputTokens: 4, cachedInputTokens: 0 }

/** A model that gives what it is told to, once `open` is called for each request that `hold` keeps waiting. */
function createNamer(titles: (string | ProviderError)[]) {
  const requests: ModelRequest[] = []
  const began = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  let isHeld = false
  const provider: Provider = {
    name: 'namer',
    list: async () => [],
    async *stream(request, signal): AsyncGenerator<ModelPart> {
      requests.push(request)
      const title = titles[Math.min(requests.length, titles.length) - 1] ?? ''
      began.resolve()
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      if (isHeld) await Promise.race([gate.promise, aborted])
      yield { type: 'start' }
      if (typeof title === 'string') {
        yield { type: 'text-delta', text: title }
        yield { type: 'usage', usage }
        yield { type: 'end', finishReason: signal.aborted ? 'cancelled' : 'stop' }
      } else yield { type: 'error', error: title }
    },
  }
  return {
    provider,
    requests,
    began: began.promise,
    open: gate.resolve,
    hold: () => {
      isHeld = true
    },
  }
}

type Namer = ReturnType<typeof createNamer>
const start = async (namer: Namer, databaseUrl?: string): Promise<TestApp> => {
  const app = await startTestApp({
    env: { TITLE_MODEL: 'namer:small', CHAT_TITLE_MAX_LENGTH: '40' },
    providers: [namer.provider],
    ...(databaseUrl ? { databaseUrl } : {}),
  })
  onTestFinished(() => app.stop())
  return app
}

const readUsage = 'query ($id: ID!) { session(id: $id) { usage { inputTokens outputTokens } } }'

describe('the title of a session', () => {
  it('is written by the title model after the first reply, and told', async () => {
    const namer = createNamer(['"The Pull of the Moon."'])
    const app = await start(namer)
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const { run } = await ask(alice, sessionId, 'Erzähl mir von den Gezeiten')
    const { session } = await feed.until((event) => event.session?.titleSource === 'MODEL')
    expect(session.title).toBe('The Pull of the Moon')
    expect(await read(alice, sessionId)).toMatchObject({ title: 'The Pull of the Moon', messageCount: 2 })

    expect(namer.requests).toHaveLength(1)
    const [system, conversation] = namer.requests[0]?.messages ?? []
    expect(system?.content).toMatch(/2 to 6 words.*in the language of that conversation/)
    expect(conversation?.content).toContain('Erzähl mir von den Gezeiten')

    const used = {
      inputTokens: run.usage.inputTokens + usage.inputTokens,
      outputTokens: run.usage.outputTokens + usage.outputTokens,
    }
    expect((await alice.run(readUsage, { id: sessionId })).session.usage).toEqual(used)
    const ledger = await query(
      app.databaseUrl,
      `SELECT input_tokens AS "inputTokens", output_tokens AS "outputTokens" FROM usage_records WHERE session_id = $1`,
      { values: [decodeId(sessionId).uuid] },
    )
    expect(ledger).toEqual([used])
    const counted = await query(
      app.databaseUrl,
      'SELECT sum(tokens)::int AS tokens FROM usage_days WHERE subject_id <> tenant_id',
    )
    expect(counted).toEqual([{ tokens: used.inputTokens + used.outputTokens }])

    await ask(alice, sessionId, 'And then?')
    await alice.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'The end' }] })
    expect(await read(alice, sessionId)).toMatchObject({ title: 'The Pull of the Moon' })
    expect(namer.requests).toHaveLength(1)
  })

  it('is never taken from a person, not even in the midst of it', async () => {
    const namer = createNamer(['Made Title'])
    namer.hold()
    const app = await start(namer)
    const alice = app.api()
    const named = await alice.createSession({ title: 'My own' })
    await ask(alice, named, 'Hello there')
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const { run } = await ask(alice, sessionId, 'Hello there')
    await namer.began
    await alice.run(
      `mutation ($input: UpdateSessionInput!) { updateSession(input: $input) { ... on Error { message } } }`,
      { input: { sessionId, title: 'Mine' } },
    )
    await feed.until(({ session }) => session?.title === 'Mine')
    const told = feed.events.length
    namer.open()
    await feed.until((event) => event.session && feed.events.indexOf(event) >= told)
    expect(await read(alice, sessionId)).toMatchObject({ title: 'Mine', titleSource: 'PERSON' })
    const { session } = await alice.run(readUsage, { id: sessionId })
    expect(session.usage.inputTokens).toBe(run.usage.inputTokens + usage.inputTokens)
    expect(await read(alice, named)).toMatchObject({ title: 'My own', titleSource: 'PERSON' })
    expect(namer.requests).toHaveLength(1)
  })

  it('waits for a reply that is complete, and keeps nobody waiting', async () => {
    const namer = createNamer(['A Fine Title'])
    namer.hold()
    const app = await start(namer)
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    expect((await ask(alice, sessionId, '/fail after 3')).run.status).toBe('FAILED')
    expect((await ask(alice, sessionId, 'Tell me of the sea')).run.status).toBe('COMPLETED')
    await namer.began
    expect((await ask(alice, sessionId, 'Go on')).run.status).toBe('COMPLETED')
    namer.open()
    await feed.until((event) => event.session?.titleSource === 'MODEL')
    expect(namer.requests).toHaveLength(1)
    expect(namer.requests[0]?.messages[1]?.content).toContain('Tell me of the sea')
  })

  it('is tried again after a failure, which harms nothing', async () => {
    const namer = createNamer([new ProviderError('overloaded', 'Later.'), 'Second Try'])
    const app = await start(namer)
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    expect((await ask(alice, sessionId, 'Hello there')).run.status).toBe('COMPLETED')
    const { session } = await feed.until((event) => event.session?.titleSource === 'MODEL')
    expect(session.title).toBe('Second Try')
    expect(namer.requests).toHaveLength(2)
  })

  it('comes after a restart where the server stopped in the midst of it', async () => {
    const namer = createNamer(['Lost Title'])
    namer.hold()
    const first = await start(namer)
    const sessionId = await first.api().createSession()
    await ask(first.api(), sessionId, 'Hello there')
    await namer.began
    await first.stop()
    const second = await start(createNamer(['Found Title']), first.databaseUrl)
    const feed = second.socket().watch(
      `subscription ($id: ID!) { sessionEvents(sessionId: $id) {
        ... on SessionSnapshot { session { title } } ... on SessionUpdated { session { title } } } }`,
      { id: sessionId },
    )
    await feed.until(({ session }) => session?.title === 'Found Title')
  })

  it('stays the first words of the first message where the model gives none', async () => {
    const namer = createNamer(['...', '', 'Third Reply Title'])
    const app = await start(namer)
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    for (const count of [1, 2]) {
      const { run } = await ask(alice, sessionId, 'Hello there')
      const isCounted = (event: { __typename: string }) => event.__typename === 'SessionUpdated'
      const end = feed.events.findLastIndex((event) => event.run?.id === run.id)
      await feed.until((event) => isCounted(event) && feed.events.indexOf(event) > end + 1)
      expect(namer.requests).toHaveLength(count)
      expect(await read(alice, sessionId)).toMatchObject({
        title: 'Hello there',
        titleSource: 'FIRST_MESSAGE',
      })
    }
  })

  it('is written by the demo model, too', async () => {
    const app = await startTestApp({ env: { TITLE_MODEL: 'demo:chat' } })
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    await ask(alice, sessionId, '/help tell me about the tides, please, and the moon')
    const { session } = await feed.until((event) => event.session?.titleSource === 'MODEL')
    expect(session.title).toMatch(/^\S+( \S+){1,5}$/)
    expect(session.title.toLowerCase()).toContain('tell me about the tides')
  })
})

describe('a title in an answer', () => {
  it.each([
    ['Tides and the Moon', 'Tides and the Moon'],
    ['  “Tides and the Moon.”\n\nBecause it is about tides.', 'Tides and the Moon'],
    ['**Title:** Tides', 'Tides'],
    ['# Gezeiten und Mond', 'Gezeiten und Mond'],
    ['「潮の満ち引き」。', '潮の満ち引き'],
    ['<think>\nThey ask of tides.\n</think>\n\nTides   and\tMoon', 'Tides and Moon'],
    ['Why is the sea salty?', 'Why is the sea salty?'],
    ['x'.repeat(50), 'x'.repeat(40)],
    [`${'x'.repeat(39)}😀`, 'x'.repeat(39)],
    ['nul\u0000 and half \ud800', 'nul and half'],
    ['"..."', null],
    ['', null],
  ])('%j is %j', (answer, title) => {
    expect(titleIn(answer, 40)).toBe(title)
  })
})
