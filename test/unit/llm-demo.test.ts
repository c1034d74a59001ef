import { describe, expect, it } from 'vitest'
import { createDemoProvider } from '../../src/llm/demo.ts'
import type { ModelMessage, ModelParameters, ModelPart } from '../../src/llm/provider.ts'

const user = (content: string): ModelMessage => ({ role: 'user', content })
const assistant = (content: string): ModelMessage => ({ role: 'assistant', content, toolCalls: [] })

async function answer(messages: ModelMessage[], parameters: ModelParameters = {}, tokensPerSecond = 100_000) {
  const demo = createDemoProvider({ tokensPerSecond })
  const parts: ModelPart[] = []
  const { signal } = new AbortController()
  for await (const part of demo.stream({ model: 'chat', messages, parameters, tools: [] }, signal))
    parts.push(part)
  const pieces = parts.flatMap((part) => (part.type === 'text-delta' ? [part.text] : []))
  return { parts, pieces, text: pieces.join(''), usage: parts.find((part) => part.type === 'usage')?.usage }
}

describe('the demo model in conversation', () => {
  it('says the same words to the same messages, and others to others', async () => {
    const first = await answer([user('Hello there')])
    expect((await answer([user('Hello there')])).text).toBe(first.text)
    const others = await Promise.all(
      ['Hi', 'Moin', 'Salut', 'Hej', 'Ciao'].map((word) => answer([user(word)])),
    )
    const withoutQuotes = others.map(({ text }) => text.replace(/“.*?”/, ''))
    expect(new Set(withoutQuotes).size).toBeGreaterThan(1)
    const seeds = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => answer([user('Hello there')], { seed })))
    expect(new Set(seeds.map(({ text }) => text)).size).toBeGreaterThan(1)
  })

  it('greets first, and later quotes the first and the previous message and counts the turns', async () => {
    const greeting = await answer([user('What is a fjord?')])
    expect(greeting.text).toContain('demo model')
    expect(greeting.text).toContain('“What is a fjord?”')
    expect(greeting.text).toContain('no earlier message and no system prompt')

    const history = [
      { role: 'system', content: 'Be brief and kind.' } as const,
      user('What is a fjord?'),
      assistant('A long sea inlet.'),
      user('And a\ngeyser?'),
      assistant('A hot spring.'),
      user('Thanks'),
    ]
    const { text } = await answer(history)
    expect(text).toContain('turn **3**')
    expect(text).toContain('“What is a fjord?”')
    expect(text).toContain('“And a geyser?”')
    expect(text).toContain('4 earlier messages and a system prompt of 4 words')
    expect(text).not.toContain('Be brief')
  })

  it('quotes the beginning of a long message, never half a character', async () => {
    const { text } = await answer([user('😀'.repeat(500))])
    expect(text).toContain(`“${'😀'.repeat(80)}…”`)
  })

  it('answers messages that are empty or missing', async () => {
    expect((await answer([user('')])).text).not.toBe('')
    expect((await answer([])).text).not.toBe('')
  })

  it('counts the words of all messages in, and the pieces out', async () => {
    const { usage, pieces } = await answer([user('one two'), assistant('three'), user('four five six')])
    expect(usage).toEqual({ inputTokens: 6, outputTokens: pieces.length, cachedInputTokens: 0 })
    expect(pieces.length).toBeGreaterThan(10)
  })

  it('ends at the output limit and before a stop string', async () => {
    const limited = await answer([user('/repeat a b c d e')], { maxOutputTokens: 3 })
    expect(limited.text).toBe('a b c')
    expect(limited.parts.at(-1)).toEqual({ type: 'end', finishReason: 'length' })
    const whole = await answer([user('/repeat a b c')], { maxOutputTokens: 3 })
    expect(whole.parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
    const stopped = await answer([user('/repeat one END two STOP')], { stop: ['STOP', 'END'] })
    expect(stopped.text).toBe('one ')
    expect(stopped.parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
  })

  it('keeps the pace', async () => {
    const timed = async (message: string) => {
      const startedAt = performance.now()
      await answer([user(message)], {}, 1_000)
      return performance.now() - startedAt
    }
    const words = 'a b c d e f g h i j k'
    expect(await timed(`/pace 100 /repeat ${words}`)).toBeGreaterThan(95)
    expect(await timed(`/slow /repeat ${words}`)).toBeGreaterThan(95)
    expect(await timed(`/repeat ${words}`)).toBeLessThan(95)
  })

  it('falls silent with /stall until it is stopped, and then tells its usage', async () => {
    const stopping = new AbortController()
    const stalled = Array.fromAsync(
      createDemoProvider({ tokensPerSecond: 1_000 }).stream(
        { model: 'chat', messages: [user('/stall after 3')], parameters: {}, tools: [] },
        stopping.signal,
      ),
    )
    // By the time that a much longer reply is done, the other one had the time for more words too.
    await answer([user('/long 50')], {}, 1_000)
    stopping.abort()
    const parts = await stalled
    expect(parts.filter(({ type }) => type === 'text-delta')).toHaveLength(3)
    expect(parts.slice(-2)).toEqual([
      { type: 'usage', usage: { inputTokens: 3, outputTokens: 3, cachedInputTokens: 0 } },
      { type: 'end', finishReason: 'cancelled' },
    ])
  })

  it('stops at once, however slow its pace is', async () => {
    const stopping = new AbortController()
    const request = { model: 'chat', messages: [user('/slow')], parameters: {}, tools: [] }
    const parts: ModelPart[] = []
    let stoppedAt = 0
    for await (const part of createDemoProvider({ tokensPerSecond: 1 }).stream(request, stopping.signal)) {
      parts.push(part)
      if (part.type !== 'text-delta') continue
      stoppedAt = performance.now()
      setImmediate(() => stopping.abort())
    }
    expect(performance.now() - stoppedAt).toBeLessThan(1_000)
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
  })

  it('lets others have their turn, however fast its pace is', async () => {
    const stopping = new AbortController()
    const request = { model: 'chat', messages: [user('/long 20000')], parameters: {}, tools: [] }
    let pieces = 0
    for await (const part of createDemoProvider({ tokensPerSecond: 1e9 }).stream(request, stopping.signal)) {
      if (part.type === 'text-delta') pieces += 1
      if (pieces === 1) setImmediate(() => stopping.abort())
    }
    expect(pieces).toBeLessThan(100)
  })

  it('refuses a model that it does not have', async () => {
    const demo = createDemoProvider({ tokensPerSecond: 100 })
    const request = { model: 'poet', messages: [user('Hi')], parameters: {}, tools: [] }
    const parts = await Array.fromAsync(demo.stream(request, new AbortController().signal))
    expect(parts).toMatchObject([{ type: 'error', error: { kind: 'invalid' } }])
  })
})

describe('directives', () => {
  it('are told by /help, all of them', async () => {
    const { text } = await answer([user('Can you /help me?')])
    for (const name of ['help', 'slow', 'pace', 'long', 'fail', 'stall', 'tool', 'unicode', 'repeat'])
      expect(text).toContain(`\`/${name}`)
  })

  it('stretch the reply with /long', async () => {
    const { text } = await answer([user('/long 500')])
    expect(text.split(/\s+/).length).toBe(500)
  })

  it('say text back to the letter with /repeat, directives and all', async () => {
    const said = ' two  spaces\n\n> quoted\n/fail /long 5 \t😀\n'
    expect((await answer([user(`/pace 50000 /repeat ${said}`)])).text).toBe(said)
  })

  it.each([
    ['/fail', 'overloaded', 0],
    ['please /fail before that', 'overloaded', 0],
    ['/fail rate-limited', 'rate-limited', 0],
    ['/fail after 20', 'overloaded', 20],
    ['/fail unauthorized after 200', 'unauthorized', 200],
  ])('fail with %s', async (message, kind, words) => {
    const { parts, pieces } = await answer([user(message)])
    expect(parts.at(-1)).toMatchObject({ type: 'error', error: { kind } })
    expect(pieces).toHaveLength(words)
    expect(parts.some(({ type }) => type === 'start')).toBe(words > 0)
  })

  it('call several tools at once, with braces and directives within strings', async () => {
    const { parts, text } = await answer([
      user(
        'Go: /tool get_weather {"city": "a } b", "note": "x /fail y", "n": {"m": [1]}} /tool get_time and thanks',
      ),
    ])
    const calls = parts.flatMap((part) => (part.type === 'tool-call' ? [part.call] : []))
    expect(calls).toMatchObject([
      { name: 'get_weather', arguments: { city: 'a } b', note: 'x /fail y', n: { m: [1] } } },
      { name: 'get_time', arguments: {} },
    ])
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
    expect(text).toBe('')
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'tool-calls' })
  })

  it('are done with once the tool has answered, and the answer is referred to', async () => {
    const toolCalls = [{ id: 'c1', name: 'get_weather', arguments: {} }]
    const { text, parts } = await answer([
      user('/tool get_weather {} /fail after 3'),
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: 'sunny, 21 degrees', toolCallId: 'c1' },
    ])
    expect(text).toContain('`get_weather` answered “sunny, 21 degrees”')
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
  })

  it('count in the last user message only, and not where it quotes', async () => {
    const { parts } = await answer([user('/fail'), assistant('/fail'), user('> /fail\nWhy did it fail?')])
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
  })

  it.each(['/pace fast', '/pace 0', '/long', '/tool {"a": 1}', '/tool get_weather {"a": '])(
    'that cannot be read are pointed out: %s',
    async (message) => {
      const { text } = await answer([user(message)])
      expect(text).toContain(`I could not read \`${message.split(' ')[0]}\``)
    },
  )

  it.each(['see /usr/bin and /failure', 'and/or /constructor', 'http://a/fail', '/Fail'])(
    'are not seen in other words: %s',
    async (message) => {
      const { text, parts } = await answer([user(message)])
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
      expect(text).not.toContain('could not read')
    },
  )

  it('show characters of every kind with /unicode', async () => {
    const { text, pieces } = await answer([user('/unicode')])
    expect(text).toMatch(/\p{Extended_Pictographic}/u)
    expect(text).toMatch(/\p{M}/u)
    expect(text).toMatch(/\p{Script=Hebrew}/u)
    expect(text).toMatch(/[\ud800-\udbff]/)
    for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
  })
})
