import { describe, expect, it } from 'vitest'
import { createDemoProvider } from '../../src/llm/demo.ts'
import { apiKey, setUpVendor } from '../support/model-vendors.ts'

const never = new AbortController().signal
const vectors = (...embeddings: unknown[]) => ({
  status: 200,
  body: {
    object: 'list',
    data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: 'vectors',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  },
})

describe.each(['openai', 'compatible'] as const)('embeddings of %s', (vendor) => {
  const setUp = async () => {
    const { server, provider } = await setUpVendor(vendor)
    const embed = (texts: string[], signal = never) => provider.embed?.({ model: 'vectors', texts }, signal)
    return { server, embed }
  }

  it('are asked for in one request, and given in order with the tokens that they took', async () => {
    const { server, embed } = await setUp()
    server.answer(vectors([1, 2], [3, 4]))
    expect(await embed(['one', 'two'])).toEqual({
      vectors: [
        [1, 2],
        [3, 4],
      ],
      inputTokens: 1,
    })
    expect(server.requests).toMatchObject([
      {
        method: 'POST',
        path: '/v1/embeddings',
        headers: { authorization: `Bearer ${apiKey}` },
        body: { model: 'vectors', input: ['one', 'two'] },
      },
    ])
  })

  it.each([
    [401, 'unauthorized'],
    [429, 'rate-limited'],
    [503, 'overloaded'],
    [400, 'invalid'],
  ])('that fail with %i are not tried again, and say %s', async (status, kind) => {
    const { server, embed } = await setUp()
    server.answer({ status, body: { error: { message: `no ${apiKey}` } } })
    const failure = await embed(['one'])?.then(
      () => null,
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ name: 'ProviderError', kind })
    expect(String(failure)).not.toContain(apiKey)
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['too few', vectors([1, 2])],
    ['of several lengths', vectors([1, 2], [1])],
    ['empty', vectors([], [])],
  ])('that are %s are a fault of the provider', async (_name, answer) => {
    const { server, embed } = await setUp()
    server.answer(answer)
    await expect(embed(['one', 'two'])).rejects.toMatchObject({
      kind: 'connection',
      message: `${vendor} gave other vectors than it was asked for.`,
    })
  })

  it('end with the signal', async () => {
    const { server, embed } = await setUp()
    server.answer({ speech: { text: [] }, afterwards: 'hang' })
    const aborting = new AbortController()
    const failed = expect(embed(['one'], aborting.signal)).rejects.toBe('enough')
    const request = await server.nextRequest()
    aborting.abort('enough')
    await failed
    expect(await request.isAborted).toBe(true)
  })
})

it('of google are asked for in one request, too', async () => {
  const { server, provider } = await setUpVendor('google')
  server.answer({ status: 200, body: { embeddings: [{ values: [1, 2] }, { values: [3, 4] }] } })
  expect(await provider.embed?.({ model: 'vectors', texts: ['one', 'two'] }, never)).toMatchObject({
    vectors: [
      [1, 2],
      [3, 4],
    ],
  })
  expect(server.requests).toMatchObject([{ path: '/v1/models/vectors:batchEmbedContents' }])
})

it('are not there where the vendor has none', async () => {
  const { provider } = await setUpVendor('anthropic')
  expect(provider.embed).toBeUndefined()
  expect(createDemoProvider({ tokensPerSecond: 1 }).embed).toBeUndefined()
})
