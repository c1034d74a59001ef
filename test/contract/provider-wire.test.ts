import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { ModelPart } from '../../src/llm/provider.ts'
import { apiKey, keyedVendors, setUpVendor, type Vendor, vendors } from '../support/model-vendors.ts'
import { collect, errorOf, neverAborted, requestFor, textOf } from './provider.suite.ts'

const ask = requestFor('test-model')('A question')

describe.each(Object.keys(vendors) as Vendor[])('%s on the wire', (vendor) => {
  it('aborts the request at the server, in the middle of a reply', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['One '] }, afterwards: 'hang' })
    const stopping = new AbortController()
    for await (const part of provider.stream(ask, stopping.signal))
      if (part.type === 'text-delta') stopping.abort()
    expect(await server.requests[0]?.isAborted).toBe(true)
  })

  it('aborts the request at the server, before the reply has begun', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: {}, afterwards: 'hang' })
    const stopping = new AbortController()
    const arrived = server.nextRequest()
    const parts = collect(provider.stream(ask, stopping.signal))
    const { isAborted } = await arrived
    stopping.abort()
    expect((await parts).at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
    expect(await isAborted).toBe(true)
  })

  it('delivers nothing more once it was aborted, though it has arrived', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['One ', 'two ', 'three'] } })
    const stopping = new AbortController()
    const parts: ModelPart[] = []
    for await (const part of provider.stream(ask, stopping.signal)) {
      parts.push(part)
      if (part.type === 'text-delta') stopping.abort()
    }
    expect(textOf(parts)).toBe('One ')
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
  })

  it('lets a reply that is done end by itself', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['All of it'] } })
    expect(textOf(await collect(provider.stream(ask, neverAborted())))).toBe('All of it')
    expect(await server.requests[0]?.isAborted).toBe(false)
  })

  it.each(['cut', 'close', 'garbage'] as const)(
    'takes a stream that ends with "%s" for a failure of the connection',
    async (afterwards) => {
      const { server, provider } = await setUpVendor(vendor)
      server.answer({ speech: { text: ['Half a '] }, afterwards })
      const parts = await collect(provider.stream(ask, neverAborted()))
      expect(textOf(parts)).toBe('Half a ')
      expect(errorOf(parts).kind).toBe('connection')
    },
  )

  it('reads no line without an end', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['Half a '] }, afterwards: 'flood' })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(textOf(parts)).toBe('Half a ')
    expect(errorOf(parts)).toMatchObject({
      kind: 'connection',
      message: `${vendor} sent more than an answer can have.`,
    })
    expect(await server.requests[0]?.isAborted).toBe(true)
  })

  it('knows an overload that is told within the stream', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['Half a '] }, afterwards: 'fault' }, { speech: {}, afterwards: 'fault' })
    const late = await collect(provider.stream(ask, neverAborted()))
    expect(textOf(late)).toBe('Half a ')
    expect(errorOf(late).kind).toBe('overloaded')
    expect(errorOf(await collect(provider.stream(ask, neverAborted()))).kind).toBe('overloaded')
  })

  it('retries nothing', async () => {
    const { server, provider } = await setUpVendor(vendor)
    for (const status of [429, 500, 503]) {
      server.answer({ status })
      await collect(provider.stream(ask, neverAborted()))
    }
    expect(server.requests).toHaveLength(3)
  })

  it('follows no redirect, neither for a reply nor for the list', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const redirect = { status: 307, headers: { location: `${server.url}/elsewhere` } }
    server.answer(redirect, redirect, redirect)
    expect(errorOf(await collect(provider.stream(ask, neverAborted()))).message).toContain('HTTP 307')
    await expect(provider.list()).rejects.toMatchObject({ kind: 'connection', isUnreached: false })
    expect(server.requests.map(({ path }) => path)).not.toContain('/v1/elsewhere')
  })

  it('quotes what the provider says about a request that it refuses', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const message = 'This model takes at most 8192 tokens'
    server.answer({ status: 400, body: { type: 'error', error: { type: 'invalid_request_error', message } } })
    const error = errorOf(await collect(provider.stream(ask, neverAborted())))
    expect(error.message).toBe(`${vendor} refused the request (HTTP 400): ${message}`)
  })

  it('tells that nobody listens at the address', async () => {
    const { server, provider } = await setUpVendor(vendor)
    await server.close()
    const error = errorOf(await collect(provider.stream(ask, neverAborted())))
    expect(error).toMatchObject({ kind: 'connection', message: expect.stringContaining('ECONNREFUSED') })
    await expect(provider.list()).rejects.toMatchObject({ kind: 'connection', isUnreached: true })
  })

  it('joins the halves of a character that the server sends apart', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['a', '\ud83d', '\ude00', 'b'] } })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(textOf(parts)).toBe('a😀b')
    for (const part of parts) if (part.type === 'text-delta') expect(part.text.isWellFormed()).toBe(true)
  })

  it('tells the cached tokens as a part of the input', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const usage = { inputTokens: 120, outputTokens: 30, cachedInputTokens: 100 }
    server.answer({ speech: { text: ['Yes'], usage } })
    expect(await collect(provider.stream(ask, neverAborted()))).toContainEqual({ type: 'usage', usage })
  })

  it('gives a sign of life for thoughts, and none of their text', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { thinking: 'Let me see', text: ['Yes'] } })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(textOf(parts)).toBe('Yes')
    // OpenAI itself sends no thoughts over the chat completions API.
    expect(parts.some(({ type }) => type === 'thinking')).toBe(vendor !== 'openai')
  })

  it('keeps two tool calls apart', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const toolCalls = [
      { id: 'call_1', name: 'get_weather', pieces: ['{"city": ', '"Oslo"}'] },
      { id: 'call_2', name: 'get_time', pieces: [] },
    ]
    server.answer({ speech: { text: ['Let me look.'], toolCalls, finish: 'tool-calls' } })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(parts.flatMap((part) => (part.type === 'tool-call' ? [part.call] : []))).toEqual([
      { id: 'call_1', name: 'get_weather', arguments: { city: 'Oslo' } },
      { id: 'call_2', name: 'get_time', arguments: {} },
    ])
  })

  it('knows a tool call by the call, not by the reason that the server gives', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const toolCalls = [{ id: 'call_1', name: 'get_time', pieces: ['{}'] }]
    server.answer({ speech: { toolCalls, finish: 'stop' } })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'tool-calls' })
  })
})

// Ollama has no key, and withholds nothing.
describe.each(keyedVendors)('%s on the wire, with a key', (vendor) => {
  it.each([
    ['the whole key', apiKey],
    ['its beginning and end', `${apiKey.slice(0, 8)}******${apiKey.slice(-4)}`],
    ['a header', `authorization: Bearer ${apiKey}`],
  ])('lets no error hold the key where the provider echoes %s', async (_what, echo) => {
    const { server, provider } = await setUpVendor(vendor)
    for (const status of [400, 401, 403, 404, 429, 500]) {
      const error = {
        message: `Incorrect API key provided: ${echo}`,
        type: 'invalid_request_error',
        param: echo,
      }
      server.answer({ status, headers: { 'x-echo': echo }, body: { type: 'error', error } })
      const failure = errorOf(await collect(provider.stream(ask, neverAborted())))
      const everything = `${inspect(failure, { depth: 20, showHidden: true })} ${failure.stack}`
      expect(everything).toContain(`HTTP ${status}`)
      expect(everything).not.toContain(apiKey.slice(0, 8))
      expect(everything).not.toContain(apiKey.slice(-4))
      expect(everything).not.toContain('Bearer')
    }
  })

  it('says when the provider withheld text', async () => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['I'], finish: 'content-filter' } })
    const parts = await collect(provider.stream(ask, neverAborted()))
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'content-filter' })
  })
})

it('knows that google refused the key, which it says with 400', async () => {
  const { server, provider } = await setUpVendor('google')
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' }]
  const error = { code: 400, message: `API key not valid: ${apiKey}`, status: 'INVALID_ARGUMENT', details }
  server.answer({ status: 400, body: { error } })
  expect(errorOf(await collect(provider.stream(ask, neverAborted())))).toMatchObject({
    kind: 'unauthorized',
    message: 'google refused the key that is configured for it (HTTP 400).',
  })
})

// Google sends arguments as an object, not as text.
describe.each(['openai', 'anthropic', 'compatible'] as const)('%s on the wire, too', (vendor) => {
  it('takes arguments that are no JSON object for an answer that cannot be read', async () => {
    const { server, provider } = await setUpVendor(vendor)
    const toolCalls = [{ id: 'call_1', name: 'get_weather', pieces: ['{"city": '] }]
    server.answer(
      { speech: { toolCalls, finish: 'tool-calls' } },
      { speech: { toolCalls, finish: 'length' } },
    )
    expect(errorOf(await collect(provider.stream(ask, neverAborted()))).kind).toBe('connection')
    const limited = await collect(provider.stream(ask, neverAborted()))
    expect(limited.at(-1)).toEqual({ type: 'end', finishReason: 'length' })
  })
})
