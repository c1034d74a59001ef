import { type ClientRequest, request } from 'node:http'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'

const megabyte = 1_048_576

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const create = `mutation Create($input: CreateDocumentInput!) { createDocument(input: $input) {
  ... on CreateDocumentPayload { document { bytes } } ... on Error { code message } } }`
const document = (bytes: number) => ({
  title: 'Large',
  base64: Buffer.alloc(bytes, 'word ').toString('base64'),
})

async function post(body: object, token: string | null = app.token()) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
  }
}

const tooLarge = {
  status: 413,
  body: {
    errors: [
      {
        message: expect.stringContaining('for createDocument and updateDocument with a valid token'),
        extensions: { code: 'BAD_USER_INPUT' },
      },
    ],
  },
}

describe('a document of 10 MiB', () => {
  it('is taken, and one byte more is not', async () => {
    expect(await post({ query: create, variables: { input: document(10 * megabyte) } })).toEqual({
      status: 200,
      retryAfter: null,
      body: { data: { createDocument: { document: { bytes: 10 * megabyte } } } },
    })
    const more = await post({ query: create, variables: { input: document(10 * megabyte + 1) } })
    expect(more.body.data.createDocument).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: `base64: has ${10 * megabyte + 1} bytes; at most ${10 * megabyte} are allowed (DOCUMENT_MAX_BYTES)`,
    })
  })

  it('is not taken without a valid token', async () => {
    const body = { query: create, variables: { input: document(2 * megabyte) } }
    expect(await post(body, null)).toMatchObject(tooLarge)
    expect(await post(body, 'not.a.token')).toMatchObject({ status: 401 })
  })
})

describe('a large body is refused', () => {
  const large = 'x'.repeat(2 * megabyte)
  it.each([
    ['of another mutation', { query: 'mutation { createSession(input: {}) { __typename } }' }],
    ['of a query', { query: '{ viewer { role } }' }],
    ['of a document beside another mutation', { query: create.replace('createDocument', 'a: deleteUser') }],
    [
      'of an operation beside that of documents',
      { query: `${create} query Other { viewer { role } }`, operationName: 'Other' },
    ],
    ['without a chosen operation', { query: `${create} query Other { viewer { role } }` }],
    ['of a fragment', { query: 'mutation { ...F } fragment F on Mutation { __typename }' }],
    ['of a long text', { query: `${create} # ${large}` }],
    ['without a query', {}],
  ])('%s', async (_name, body) => {
    expect(await post({ ...body, variables: { input: { title: large } } })).toMatchObject(tooLarge)
  })

  it('that is no JSON', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${app.token()}` },
      body: large,
    })
    expect(response.status).toBe(413)
  })
})

describe('HTTP_BODIES_MAX_BYTES', () => {
  /** A document of a megabyte, which counts for a third more. */
  const send = (user: string, tenant = 'demo') =>
    post({ query: create, variables: { input: document(megabyte) } }, app.token({ user, tenant }))
  const refused = {
    status: 429,
    retryAfter: '2',
    body: {
      errors: [
        {
          message: 'Too many bytes of requests at a time; try again in 2 s (HTTP_BODIES_MAX_BYTES).',
          extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 2 },
        },
      ],
    },
  }

  it('leaves an eighth to a user and a quarter to a tenant, and what is short is taken all the same', async () => {
    const sizes = [10, 10, 11].map((count) => count * megabyte)
    const held = sizes.map((bytes) => hold('alice', bytes))
    await vi.waitFor(async () => expect(await send('alice')).toMatchObject(refused), patience)
    expect(await send('bob')).toMatchObject({ status: 200 })
    held.push(...sizes.map((bytes) => hold('bob', bytes)), hold('erin', megabyte))
    await vi.waitFor(async () => expect(await send('carol')).toMatchObject(refused), patience)
    expect((await app.api({ user: 'alice' }).run('{ viewer { role } }')).viewer).toEqual({ role: 'USER' })
    expect(await send('dave', 'other')).toMatchObject({ status: 200 })
    for (const request of held) request.destroy()
    await vi.waitFor(async () => expect(await send('alice')).toMatchObject({ status: 200 }), patience)
  })

  it('holds for those without a token, too', async () => {
    const held = Array.from({ length: 32 }, () => hold(null, megabyte))
    const ask = () => post({ query: '{ __typename }', variables: { pad: 'x'.repeat(20_000) } }, null)
    await vi.waitFor(async () => expect(await ask()).toMatchObject(refused), patience)
    expect(await send('alice')).toMatchObject({ status: 200 })
    for (const request of held) request.destroy()
    await vi.waitFor(async () => expect(await ask()).toMatchObject({ status: 200 }), patience)
  })
})

/** A request whose body never comes; made again where the room was just taken by one that passes by. */
function hold(user: string | null, bytes: number): { destroy(): void } {
  let begun = begin(user, bytes)
  let isOver = false
  const watch = () =>
    begun.once('response', (response) => {
      response.resume()
      if (isOver || response.statusCode !== 429) return
      begun = begin(user, bytes)
      watch()
    })
  watch()
  return {
    destroy() {
      isOver = true
      begun.destroy()
    },
  }
}

function begin(user: string | null, bytes: number): ClientRequest {
  const begun = request(`${app.url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      'content-length': bytes,
      ...(user && { authorization: `Bearer ${app.token({ user })}` }),
    },
  })
  begun.on('error', () => {})
  begun.write('{')
  return begun
}
