import { type ClientRequest, request } from 'node:http'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

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
  return { status: response.status, body: await response.json() }
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
    expect(await post(body, 'not.a.token')).toMatchObject(tooLarge)
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

it('two large bodies at a time are taken of one user, and others of others', async () => {
  const send = (user: string) =>
    post({ query: create, variables: { input: document(megabyte) } }, app.token({ user }))
  const held = [hold('alice'), hold('alice')]
  await vi.waitFor(
    async () =>
      expect(await send('alice')).toMatchObject({
        status: 429,
        body: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] },
      }),
    { timeout: 10_000, interval: 50 },
  )
  expect(await send('bob')).toMatchObject({ status: 200 })
  for (const request of held) request.destroy()
  await vi.waitFor(async () => expect(await send('alice')).toMatchObject({ status: 200 }), {
    timeout: 10_000,
    interval: 50,
  })
})

/** A request whose large body never comes. */
function hold(user: string): ClientRequest {
  const begun = request(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': 5 * megabyte,
      authorization: `Bearer ${app.token({ user })}`,
    },
  })
  begun.on('error', () => {})
  begun.write('{')
  return begun
}
