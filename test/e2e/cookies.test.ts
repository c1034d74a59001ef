import { fileURLToPath } from 'node:url'
import { build, type Rolldown } from 'vite'
import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'

const browser = useBrowser()
let app: TestApp
let other: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { COOKIE_SIGN_IN: 'true' } })
  // A page of another origin on the same site, which `SameSite` lets through.
  other = await startTestApp({ databaseUrl: app.databaseUrl })
})

it('a browser keeps the cookie from scripts and sends it for its own page alone', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  await page.goto(`${app.url}/health`)
  const signedIn = await page.evaluate(async (token) => {
    const { status } = await fetch('/sign-in', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
    return { status, seen: document.cookie }
  }, app.token())
  expect(signedIn).toEqual({ status: 204, seen: '' })

  const ask = async (endpoint: string) => {
    const query = '{ viewer { user { externalId } } }'
    const request = { method: 'POST', credentials: 'include' as const, body: JSON.stringify({ query }) }
    const headers = { 'content-type': 'application/json', 'x-parley-csrf': '1' }
    const answer = await fetch(endpoint, { ...request, headers }).then(
      (response) => response.text(),
      () => 'nothing',
    )
    const socket = new WebSocket(endpoint.replace('http', 'ws'), 'graphql-transport-ws')
    const told = await new Promise((resolve) => {
      socket.onopen = () => socket.send('{"type":"connection_init"}')
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).type)
      socket.onclose = ({ code }) => resolve(code)
    })
    socket.close()
    return { answer, told }
  }
  const own = await page.evaluate(ask, `${app.url}/graphql`)
  expect(own).toEqual({ answer: expect.stringContaining('"externalId":"alice"'), told: 'connection_ack' })

  await page.goto(`${other.url}/health`)
  expect(await page.evaluate(ask, `${app.url}/graphql`)).toEqual({ answer: 'nothing', told: 1006 })
})

it('the client library lives on the cookie, over HTTP, WebSocket and SSE', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  await page.goto(`${app.url}/health`)
  await page.addScriptTag({ content: await clientForPages() })
  const run = () =>
    page.evaluate(async () => {
      const { createParley } = globalThis as unknown as typeof import('@parley/client')
      const told: unknown[] = []
      for (const transport of ['websocket', 'sse'] as const) {
        const parley = createParley({ url: '/graphql', token: null, transport })
        try {
          const session = await parley.createSession({ title: transport })
          const { message } = await session.send('Good evening.').done
          told.push(message.status)
        } catch (error) {
          told.push((error as { code?: string }).code)
        }
        parley.close()
      }
      return told
    })
  expect(await run()).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED'])
  await page.evaluate(async (token) => {
    await fetch('/sign-in', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  }, app.token())
  expect(await run()).toEqual(['COMPLETE', 'COMPLETE'])
})

/** The library as one script that leaves `createParley` behind. */
async function clientForPages(): Promise<string> {
  const input = 'client-page'
  const text = `import { createParley } from '@parley/client'; globalThis.createParley = createParley`
  const { output } = (await build({
    configFile: false,
    root: fileURLToPath(new URL('../..', import.meta.url)),
    logLevel: 'error',
    resolve: { conditions: ['parley-source'] },
    build: { write: false, rolldownOptions: { input, output: { format: 'iife' } } },
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === input ? id : undefined),
        load: (id) => (id === input ? text : undefined),
      },
    ],
  })) as Rolldown.RolldownOutput
  return output[0].code
}
