import { describe, expect, it, onTestFinished } from 'vitest'
import type { ModelRequest } from '../../src/llm/provider.ts'
import {
  createAnthropicProvider,
  createCompatibleProvider,
  createOllamaProvider,
} from '../../src/llm/vendors.ts'
import { createModelServer } from '../support/model-server.ts'
import { apiKey, listAnswers, setUpVendor } from '../support/model-vendors.ts'
import { collect, neverAborted, requestFor } from './provider.suite.ts'

const ask = requestFor('test-model')('A question')

const conversation: ModelRequest = {
  model: 'test-model',
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'How cold is it?' },
    { role: 'assistant', content: '', toolCalls: [] },
    {
      role: 'assistant',
      content: 'Let me look.',
      toolCalls: [{ id: 'call_1', name: 'get_weather', arguments: { city: 'Oslo' } }],
    },
    { role: 'tool', content: 'minus 4', toolCallId: 'call_1' },
  ],
  parameters: { temperature: 0.5, topP: 0.9, maxOutputTokens: 64, stop: ['END'], seed: 7 },
  tools: [
    {
      name: 'get_weather',
      description: 'Tells the weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  ],
}

describe('requests', () => {
  it.each(['openai', 'compatible'] as const)('are chat completions for %s', async (vendor) => {
    const { server, provider } = await setUpVendor(vendor)
    server.answer({ speech: { text: ['Cold.'] } })
    await collect(provider.stream(conversation, neverAborted()))
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { authorization: `Bearer ${apiKey}` },
      body: {
        model: 'test-model',
        stream: true,
        stream_options: { include_usage: true },
        temperature: 0.5,
        top_p: 0.9,
        max_tokens: 64,
        stop: ['END'],
        seed: 7,
        tools: [{ type: 'function', function: { name: 'get_weather', description: 'Tells the weather' } }],
      },
    })
    expect(server.requests[0]?.body?.messages).toMatchObject([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'How cold is it?' },
      {
        role: 'assistant',
        content: 'Let me look.',
        tool_calls: [{ id: 'call_1', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'minus 4' },
    ])
  })

  it('are messages for anthropic', async () => {
    const { server, provider } = await setUpVendor('anthropic')
    server.answer({ speech: { text: ['Cold.'] } })
    const { seed: _seed, topP: _topP, ...parameters } = conversation.parameters
    await collect(
      provider.stream({ ...conversation, parameters: { ...parameters, topK: 5 } }, neverAborted()),
    )
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v1/messages',
      headers: { 'x-api-key': apiKey },
      body: {
        model: 'test-model',
        stream: true,
        system: [{ type: 'text', text: 'Be brief.' }],
        max_tokens: 64,
        temperature: 0.5,
        top_k: 5,
        stop_sequences: ['END'],
        tools: [{ name: 'get_weather', description: 'Tells the weather' }],
      },
    })
    expect(server.requests[0]?.body?.messages).toMatchObject([
      { role: 'user', content: [{ type: 'text', text: 'How cold is it?' }] },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Let me look.' },
          { type: 'tool_use', id: 'call_1', name: 'get_weather', input: { city: 'Oslo' } },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'minus 4' }] },
    ])
  })

  it('are contents for google, in which a result has the name of its tool', async () => {
    const { server, provider } = await setUpVendor('google')
    server.answer({ speech: { text: ['Cold.'] } })
    const parameters = { ...conversation.parameters, topK: 5 }
    await collect(
      provider.stream({ ...conversation, model: 'gemini-3-pro-preview', parameters }, neverAborted()),
    )
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v1/models/gemini-3-pro-preview:streamGenerateContent?alt=sse',
      headers: { 'x-goog-api-key': apiKey },
      body: {
        systemInstruction: { parts: [{ text: 'Be brief.' }] },
        generationConfig: {
          temperature: 0.5,
          topP: 0.9,
          topK: 5,
          maxOutputTokens: 64,
          stopSequences: ['END'],
          seed: 7,
        },
        tools: [{ functionDeclarations: [{ name: 'get_weather', description: 'Tells the weather' }] }],
      },
    })
    expect(server.requests[0]?.body?.contents).toMatchObject([
      { role: 'user', parts: [{ text: 'How cold is it?' }] },
      {
        role: 'model',
        parts: [
          { text: 'Let me look.' },
          {
            functionCall: { name: 'get_weather', args: { city: 'Oslo' } },
            // Gemini 3 refuses calls without the signature of their thoughts, which is not kept, or this word in its place.
            thoughtSignature: 'skip_thought_signature_validator',
          },
        ],
      },
      {
        role: 'user',
        parts: [{ functionResponse: { name: 'get_weather', response: { content: 'minus 4' } } }],
      },
    ])
  })

  it('are chats for ollama, with the settings of its operator', async () => {
    const server = await createModelServer()
    onTestFinished(() => server.close())
    const { url: baseUrl } = server
    const parameters = { ...conversation.parameters, topK: 5 }
    server.answer({ speech: { text: ['Cold.'] } }, { speech: { text: ['Cold.'] } })
    const tuned = createOllamaProvider({ baseUrl, contextTokens: 16_384, keepAlive: '-1' })
    await collect(tuned.stream({ ...conversation, parameters }, neverAborted()))
    await collect(createOllamaProvider({ baseUrl }).stream(ask, neverAborted()))
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'How cold is it?' },
      { role: 'assistant', content: '' },
      {
        role: 'assistant',
        content: 'Let me look.',
        tool_calls: [{ id: 'call_1', function: { name: 'get_weather', arguments: { city: 'Oslo' } } }],
      },
      { role: 'tool', content: 'minus 4', tool_name: 'get_weather', tool_call_id: 'call_1' },
    ]
    const options = { num_ctx: 16_384, temperature: 0.5, top_p: 0.9, top_k: 5, num_predict: 64 }
    expect(server.requests).toMatchObject([{ method: 'POST', path: '/v1/api/chat' }, {}])
    expect(server.requests.map(({ body }) => body)).toEqual([
      {
        model: 'test-model',
        messages,
        stream: true,
        keep_alive: -1,
        options: { ...options, stop: ['END'], seed: 7 },
        tools: [{ type: 'function', function: conversation.tools[0] }],
      },
      { model: 'test-model', messages: [{ role: 'user', content: 'A question' }], stream: true, options: {} },
    ])
  })

  it('carry no key where none is configured', async () => {
    const server = await createModelServer()
    onTestFinished(() => server.close())
    server.answer({ speech: { text: ['Hi'] } }, { status: 200, body: { data: null } })
    const provider = createCompatibleProvider('compatible', { baseUrl: server.url })
    await collect(provider.stream(ask, neverAborted()))
    expect(await provider.list()).toEqual([])
    for (const { headers } of server.requests) expect(headers).not.toHaveProperty('authorization')
  })
})

describe('lists', () => {
  it('are asked of every vendor in its own way', async () => {
    for (const [vendor, path, header] of [
      ['openai', '/v1/models', 'authorization'],
      ['anthropic', '/v1/models?limit=1000', 'x-api-key'],
      ['google', '/v1/models?pageSize=1000', 'x-goog-api-key'],
      ['compatible', '/v1/models', 'authorization'],
    ] as const) {
      const { server, provider } = await setUpVendor(vendor)
      server.answer(...listAnswers(vendor, 'one'))
      expect(await provider.list()).toMatchObject([{ name: 'one' }])
      expect(server.requests[0]).toMatchObject({ method: 'GET', path })
      expect(server.requests[0]?.headers[header]).toContain(apiKey)
    }
  })

  it('tell what a model is for where its name tells it', async () => {
    const { server, provider } = await setUpVendor('openai')
    const ids = ['gpt-5-mini', 'text-embedding-3-small', 'whisper-1', 'gpt-image-1']
    server.answer({ status: 200, body: { data: ids.map((id) => ({ id })) } })
    expect(await provider.list()).toEqual([
      { name: 'gpt-5-mini', capabilities: ['TEXT', 'TOOLS'] },
      { name: 'text-embedding-3-small', capabilities: ['EMBEDDINGS'] },
    ])
  })

  it('tell the context window and the most that it writes where the server tells it', async () => {
    const { server, provider } = await setUpVendor('compatible')
    const data = [
      { id: 'a', max_model_len: 8192 },
      { id: 'b', context_length: 4096, max_completion_tokens: 1024 },
      { id: 'c' },
    ]
    server.answer({ status: 200, body: { data } })
    const limits = (await provider.list()).map((model) => [model.contextWindow, model.maxOutputTokens])
    expect(limits).toEqual([
      [8192, undefined],
      [4096, 1024],
      [undefined, undefined],
    ])
  })

  it('of Google leave out what makes pictures and speech', async () => {
    const { server, provider } = await setUpVendor('google')
    const model = (name: string, ...supportedGenerationMethods: string[]) => ({
      name: `models/${name}`,
      inputTokenLimit: 1_048_576,
      outputTokenLimit: 8_192,
      supportedGenerationMethods,
    })
    const models = [
      model('gemini-2.5-flash', 'generateContent', 'countTokens'),
      model('gemini-2.5-flash-image', 'generateContent', 'countTokens'),
      model('gemini-embedding-001', 'embedContent'),
      model('gemma-3-27b-it', 'generateContent'),
      model('veo-3', 'predictLongRunning'),
    ]
    server.answer({ status: 200, body: { models } })
    const limits = { contextWindow: 1_048_576, maxOutputTokens: 8_192 }
    expect(await provider.list()).toEqual([
      { name: 'gemini-2.5-flash', capabilities: ['TEXT', 'TOOLS', 'VISION'], ...limits },
      { name: 'gemini-embedding-001', capabilities: ['EMBEDDINGS'], ...limits },
      { name: 'gemma-3-27b-it', capabilities: ['TEXT'], ...limits },
    ])
  })

  it('fail where the answer is something else', async () => {
    const { server, provider } = await setUpVendor('compatible')
    server.answer({ status: 200, body: '<html>' }, { status: 200, body: { models: [] } })
    await expect(provider.list()).rejects.toMatchObject({ name: 'ProviderError', kind: 'connection' })
    await expect(provider.list()).rejects.toMatchObject({ name: 'ProviderError', kind: 'connection' })
  })

  it('of Anthropic work with an address without its version', async () => {
    const { server } = await setUpVendor('anthropic')
    server.answer({ status: 200, body: { data: [{ id: 'one' }] } })
    const provider = createAnthropicProvider({ apiKey, baseUrl: new URL(server.url).origin })
    expect(await provider.list()).toHaveLength(1)
    expect(server.requests[0]?.path).toBe('/v1/models?limit=1000')
  })

  it('are given up where they do not come', async () => {
    const { server, provider } = await setUpVendor('compatible')
    server.answer({ speech: {}, afterwards: 'hang' })
    const startedAt = performance.now()
    await expect(provider.list()).rejects.toMatchObject({
      kind: 'connection',
      isUnreached: true,
      message: expect.stringContaining('timeout'),
    })
    expect(performance.now() - startedAt).toBeLessThan(4_000)
  })
})
