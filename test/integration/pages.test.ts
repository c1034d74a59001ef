import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer, request as sendRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { buildSchema, parse, validate } from 'graphql'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createPages } from '../../src/server/pages.ts'
import { exampleTabs } from '../../web/src/graphiql/examples.ts'

const built = join(import.meta.dirname, '../../web/dist')

/** A server of the pages alone; every path that they leave alone is answered with 418. */
async function servePages({ directory = built, chat = true, graphiql = true } = {}) {
  const pages = createPages({ directory, endpoint: '/graphql', chat, graphiql, token: () => 'secret' })
  const server = createServer(async (request, response) => {
    if (!(await pages(request, response))) response.writeHead(418).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo

  // Sent as it is: fetch would tidy the path and set a host of its own.
  return (path: string, { method = 'GET', headers = {} as Record<string, string> } = {}) =>
    new Promise<{ status: number | undefined; headers: Record<string, unknown>; body: string }>(
      (resolve, reject) => {
        sendRequest({ port, path, method, headers }, async (response) => {
          resolve({ status: response.statusCode, headers: response.headers, body: await text(response) })
        })
          .on('error', reject)
          .end()
      },
    )
}

const guards = {
  'content-security-policy': expect.stringMatching(/script-src 'self';.*frame-ancestors 'none'/),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

describe('the chat page', () => {
  it.each(['/', '/s/session_01h455vb4pex5vsknk084sn02q'])('is at %s', async (path) => {
    const get = await servePages()
    const { status, headers, body } = await get(path)
    expect(status).toBe(200)
    expect(headers).toMatchObject({ ...guards, 'cache-control': 'no-cache' })
    expect(headers['content-security-policy']).not.toContain('unsafe')
    const [, script] = /<script type="module"[^>]* src="([^"]+)"/.exec(body) ?? []
    const { pathname } = new URL(script ?? '', `http://localhost${path}`)
    expect(await get(pathname, { method: 'HEAD' })).toMatchObject({ status: 200 })
  })

  it('can be left out, and GraphiQL takes its place', async () => {
    const get = await servePages({ chat: false })
    expect(await get('/')).toMatchObject({ status: 308, headers: { location: '/graphiql' } })
    expect(await get('/s/session_01h455vb4pex5vsknk084sn02q')).toMatchObject({ status: 418 })
    const none = await servePages({ chat: false, graphiql: false })
    for (const path of ['/', '/graphiql']) expect(await none(path)).toMatchObject({ status: 418 })
  })

  it('loads at most 250 kB before a conversation can be read', async () => {
    const html = await readFile(join(built, 'index.html'), 'utf8')
    const names = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, name]) => name ?? '')
    expect(names.length).toBeGreaterThan(1)
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(built, `${name}.gz`))).size))
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(250_000)
    for (const name of names) expect(await readFile(join(built, name), 'utf8')).not.toContain('monaco')
  })
})

describe('the GraphiQL page', () => {
  it('is asked for anew on every visit', async () => {
    const get = await servePages()
    const { status, headers, body } = await get('/graphiql?from=readme')
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      ...guards,
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
    })
    expect(body).toContain('<title>Parley GraphiQL</title>')
    expect(body).not.toMatch(/https?:\/\/(?!www\.w3\.org)/)
    expect(await get('/graphiql/')).toMatchObject({ status: 308, headers: { location: '/graphiql' } })
  })

  it('has files that are kept for ever, each with its own type', async () => {
    const get = await servePages()
    const names = (await readdir(join(built, 'assets'))).filter((name) => !name.endsWith('.gz'))
    expect(names.length).toBeGreaterThan(5)
    const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', ttf: 'font/ttf' }
    for (const name of names) {
      const { status, headers } = await get(`/assets/${name}`, { method: 'HEAD' })
      expect({ name, status }).toEqual({ name, status: 200 })
      expect(headers).toMatchObject({ ...guards, 'cache-control': 'public, max-age=31536000, immutable' })
      expect(headers['content-type']).toContain(types[name.split('.').at(-1) ?? ''])
    }
  })

  it('sends a compressed file only to whoever takes one', async () => {
    const get = await servePages()
    const plain = await get('/graphiql')
    const small = await get('/graphiql', { headers: { 'accept-encoding': 'br, gzip' } })
    expect(plain.headers).not.toHaveProperty('content-encoding')
    expect(small.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(Number(small.headers['content-length'])).toBeLessThan(plain.body.length)
  })

  it.each([
    '/assets/../graphiql.html',
    '/assets/..%2fgraphiql.html',
    '/assets/../../package.json',
    '/assets/./../../package.json',
    '/assets//etc/passwd',
    '/assets/nothing.js',
    `/assets/${'a'.repeat(300)}.js`,
    '/assets/',
    '/assets',
    '/graphiql/../../../package.json',
  ])('has nothing at %s', async (path) => {
    const get = await servePages()
    expect(await get(path)).toMatchObject({ status: 404, body: 'Not found.\n' })
  })

  it('is where the endpoint leads who opens it in a browser', async () => {
    const get = await servePages()
    const typed = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } }
    expect(await get('/graphql', typed)).toMatchObject({
      status: 303,
      headers: { ...guards, location: '/graphiql', vary: 'accept' },
    })
    expect(await get('/graphql?query={viewer{role}}', typed)).toMatchObject({ status: 418 })
    expect(await get('/graphql', { ...typed, method: 'POST' })).toMatchObject({ status: 418 })
    expect(await get('/graphql', { headers: { accept: '*/*' } })).toMatchObject({ status: 418 })
    const without = await servePages({ graphiql: false })
    expect(await without('/graphql', typed)).toMatchObject({ status: 418 })
  })

  it('leaves every other path alone', async () => {
    const get = await servePages()
    for (const path of ['/graphql', '/graphiqlx', '/assetsx', '/package.json', '/s/', '/s/a/b', '/s/..']) {
      expect(await get(path)).toMatchObject({ status: 418 })
    }
  })

  it('is for reading only', async () => {
    const get = await servePages()
    const answer = await get('/config.json', { method: 'POST' })
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
    expect(answer.body).not.toContain('secret')
  })

  it.each([
    ['127.0.0.1:4000', 'secret'],
    ['localhost:4000', 'secret'],
    ['[::1]:4000', 'secret'],
    ['parley.localhost', 'secret'],
    ['rebound.example', null],
    ['127.0.0.1.rebound.example', null],
    ['localhost.rebound.example:4000', null],
    ['192.168.1.7:4000', null],
  ])('tells a page opened at "%s" the token %s', async (host, token) => {
    const get = await servePages()
    const { headers, body } = await get('/config.json', { headers: { host } })
    expect(JSON.parse(body)).toEqual({ endpoint: '/graphql', token })
    expect(headers).toMatchObject({ ...guards, 'cache-control': 'no-store' })
  })

  it('says how to build it where it is not built', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'parley-page-'))
    onTestFinished(() => rm(empty, { recursive: true }))
    const get = await servePages({ directory: empty })
    const { status, body } = await get('/graphiql')
    expect(status).toBe(503)
    expect(body).toContain('npm run build --workspace web')
  })

  it('opens with operations that the schema knows', async () => {
    const schema = buildSchema(await readFile(join(import.meta.dirname, '../../schema.graphql'), 'utf8'))
    const faults = exampleTabs.flatMap(({ query }) => validate(schema, parse(query)))
    expect(faults.map(({ message }) => message)).toEqual([])
  })
})
