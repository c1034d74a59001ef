import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { serverAudits } from 'graphql-http'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'

let app: TestApp
let authorization: string
beforeAll(async () => {
  app = await startTestApp({ env: { HTTP_BODY_MAX_BYTES: '20000' } })
  authorization = `Bearer ${app.token()}`
})
besideNeighbour(() => app)

const json = { 'content-type': 'application/json' }
const viewer = '{ viewer { role } }'
const told = { data: { viewer: { role: 'USER' } } }

async function send(path: string, init: RequestInit & { headers?: Record<string, string> } = {}) {
  const response = await fetch(`${app.url}${path}`, {
    ...init,
    headers: { authorization, ...init.headers },
    redirect: 'manual',
  })
  const body = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    // biome-ignore lint/suspicious/noExplicitAny: whatever came
    body: (body.startsWith('{') || body.startsWith('[') ? JSON.parse(body) : body) as any,
  }
}

const post = (body: unknown, headers: Record<string, string> = {}) =>
  send('/graphql', {
    method: 'POST',
    headers: { ...json, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

/** A request as its bytes, and the status that comes for it. */
async function sendRaw(lines: string[], body = ''): Promise<number> {
  const { hostname, port } = new URL(app.url)
  const socket = connect(Number(port), hostname)
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(String(chunk))?.[1])
}

it('passes every audit of the GraphQL over HTTP specification', async () => {
  const audits = serverAudits({ url: `${app.url}/graphql`, fetchFn: fetch })
  expect(audits.length).toBeGreaterThan(50)
  const found = []
  for (const audit of audits) {
    const result = await audit.fn()
    if (result.status !== 'ok') found.push(`${result.status} ${audit.name}`)
  }
  expect(found).toEqual([])
})

describe('a body', () => {
  it('is taken up to HTTP_BODY_MAX_BYTES, and refused above it unread', async () => {
    const fill = (bytes: number) => {
      const body = JSON.stringify({ query: viewer, extensions: { pad: '' } })
      return body.replace('""', `"${'x'.repeat(bytes - body.length)}"`)
    }
    expect(await post(fill(20_000))).toMatchObject({ status: 200, body: told })
    expect(await post(fill(20_001))).toMatchObject({
      status: 413,
      body: {
        errors: [
          {
            message: expect.stringContaining(
              'The body has 20001 bytes; at most 20000 are allowed (HTTP_BODY_MAX_BYTES), or ',
            ),
            extensions: { code: 'BAD_USER_INPUT' },
          },
        ],
      },
    })
    // Answered on the head alone: the bytes that it names never come.
    const head = [
      'POST /graphql HTTP/1.1',
      'host: x',
      'content-type: application/json',
      'content-length: 99999999',
    ]
    expect(await sendRaw(head)).toBe(413)
  })

  it('is not waited for where the token is bad', async () => {
    const head = [
      'POST /graphql HTTP/1.1',
      'host: x',
      'content-type: application/json',
      'content-length: 9999',
    ]
    expect(await sendRaw([...head, 'authorization: Bearer x.y.z'])).toBe(401)
  })

  it('says how long it is, and is not packed', async () => {
    const { hostname, port } = new URL(app.url)
    const request = httpRequest({
      hostname,
      port,
      path: '/graphql',
      method: 'POST',
      headers: { ...json, authorization },
    })
    request.write(JSON.stringify({ query: viewer }))
    request.end()
    const [response] = await once(request, 'response')
    expect(response.statusCode).toBe(411)
    expect(await text(response)).toContain('The body needs a content-length.')

    for (const encoding of ['gzip', 'br', 'identity'])
      expect((await post({ query: viewer }, { 'content-encoding': encoding })).status).toBe(415)
  })

  it('that is ambiguous is refused', async () => {
    const head = ['POST /graphql HTTP/1.1', 'host: x', 'content-type: application/json']
    expect(await sendRaw([...head, 'content-length: 4', 'transfer-encoding: chunked'], '0\r\n\r\n')).toBe(400)
    expect(await sendRaw([...head, 'content-length: 4', 'content-length: 5'], 'abcd')).toBe(400)
    expect(await sendRaw([...head, 'content-length: -4'])).toBe(400)
  })

  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'application/json'],
    ['nothing', '', 'application/json'],
    ['null', 'null', 'application/json'],
    ['no query', {}, 'application/json'],
    ['a query that is no text', { query: 5 }, 'application/json'],
    ['variables that are a list', { query: viewer, variables: [1] }, 'application/json'],
    ['a batch of two', [{ query: viewer }, { query: viewer }], 'application/json'],
    ['a batch of none', [], 'application/json'],
    [
      'two operations and no name',
      { query: 'query A { viewer { role } } query B { viewer { role } }' },
      'application/json',
    ],
    [
      'the name of no operation',
      { query: 'query A { viewer { role } }', operationName: 'B' },
      'application/json',
    ],
    ['@defer', { query: '{ viewer { ... @defer { role } } }' }, 'application/json'],
    ['@stream', { query: '{ agents @stream { id } }' }, 'application/json'],
  ])('that holds %s is refused with a code', async (_what, body, type) => {
    const { status, body: answer } = await post(body, {
      'content-type': type,
      accept: 'application/graphql-response+json',
    })
    expect(status).toBe(400)
    expect(answer.errors).toMatchObject([
      { message: expect.any(String), extensions: { code: 'BAD_USER_INPUT' } },
    ])
  })

  it.each([
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/graphql', 415],
  ])('of the type %s is refused with %i', async (type, status) => {
    expect((await post({ query: viewer }, { 'content-type': type })).status).toBe(status)
  })

  it('with keys that objects have by nature changes no object', async () => {
    const body = `{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "query": "${viewer}", "variables": {"__proto__": {"polluted": true}}}`
    expect((await post(body)).body).toEqual(told)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    const deep = `{"query": "${viewer}", "variables": {"a": ${'['.repeat(5_000)}${']'.repeat(5_000)}}}`
    expect((await post(deep)).body).toEqual(told)
  })
})

describe('GET', () => {
  const get = (operation: string, headers = {}) =>
    send(`/graphql?query=${encodeURIComponent(operation)}`, { headers })

  it('reads', async () => {
    expect(await get(viewer)).toMatchObject({ status: 200, body: told })
  })

  it.each(['variables', 'extensions'])('with %s that are no JSON is refused', async (name) => {
    expect(await send(`/graphql?query=${encodeURIComponent(viewer)}&${name}={`)).toMatchObject({
      status: 400,
      body: { errors: [{ message: `${name}: is not JSON`, extensions: { code: 'BAD_USER_INPUT' } }] },
    })
    expect(await send(`/graphql?query=${encodeURIComponent(viewer)}&${name}=`)).toMatchObject({ status: 200 })
  })

  it('changes nothing', async () => {
    const { status, headers } = await get(
      'mutation { createSession(input: { title: "by GET" }) { __typename } }',
    )
    expect(status).toBe(405)
    expect(headers.get('allow')).toBe('POST')
    const { sessions } = await app.api().run('{ sessions { totalCount } }')
    expect(sessions.totalCount).toBe(0)
  })
})

describe('paths', () => {
  it.each(['/nothing', '/graphql/', '/graphqlx', '//graphql', '/metrics', '/.env', '/../package.json'])(
    '%s is not there',
    async (path) => {
      expect(await sendRaw([`GET ${path} HTTP/1.1`, 'host: x'])).toBe(404)
    },
  )

  it('say whether the server lives and can serve', async () => {
    expect(await send('/health')).toMatchObject({
      status: 200,
      body: { status: 'ok', version: expect.any(String) },
    })
    expect(await send('/ready')).toMatchObject({ status: 200, body: { status: 'ready' } })
  })
})

it('keeps a connection for longer than clients and proxies do', async () => {
  const { headers } = await send('/health')
  expect(headers.get('keep-alive')).toBe('timeout=75')
})

describe('the id of a request', () => {
  it('is given back where it can stand in a log', async () => {
    for (const path of ['/graphql?query={__typename}', '/health', '/nothing']) {
      const { headers } = await send(path, { headers: { 'x-request-id': 'edge-1:a.B_c' } })
      expect(headers.get('x-request-id')).toBe('edge-1:a.B_c')
    }
  })

  it('is made up else', async () => {
    for (const given of [undefined, 'a b', 'x'.repeat(65), '"\u001b[31m', '<script>']) {
      const { headers } = await send(
        '/health',
        given ? { headers: { 'x-request-id': given.replace('\u001b', '%') } } : {},
      )
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})

describe('another origin', () => {
  const ask = (url: string, origin: string, method = 'POST') =>
    fetch(`${url}/graphql`, {
      method,
      headers: { ...json, authorization, origin, 'access-control-request-method': 'POST' },
      ...(method === 'POST' ? { body: JSON.stringify({ query: viewer }) } : {}),
    })

  it('may read nothing by default', async () => {
    for (const method of ['POST', 'OPTIONS']) {
      const { headers } = await ask(app.url, 'https://app.example', method)
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })

  it('may read what CORS_ORIGINS names', async () => {
    const open = await startTestApp({ env: { CORS_ORIGINS: 'https://app.example,https://two.example' } })
    for (const method of ['POST', 'OPTIONS']) {
      const named = await ask(open.url, 'https://app.example', method)
      expect(named.headers.get('access-control-allow-origin')).toBe('https://app.example')
      const other = await ask(open.url, 'https://evil.example', method)
      expect(other.headers.get('access-control-allow-origin')).not.toBe('https://evil.example')
      expect(other.headers.get('access-control-allow-origin')).not.toBe('*')
    }
  })
})

it('ends a subscription over server-sent events with the errors of that one', async () => {
  const { status, headers, body } = await post(
    { query: 'subscription { sessionEvents(sessionId: "session_01h455vb4pex5vsknk084sn02q") { cursor } }' },
    { accept: 'text/event-stream' },
  )
  expect(status).toBe(200)
  expect(headers.get('content-type')).toContain('text/event-stream')
  const [, data = ''] = /^event: next\ndata: (.*)$/m.exec(body) ?? []
  expect(JSON.parse(data)).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] })
  expect(body).toContain('event: complete')
})
