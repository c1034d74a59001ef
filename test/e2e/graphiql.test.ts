import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { createPages } from '../../src/server/pages.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'
import { patience } from '../support/patience.ts'

let app: TestApp
beforeAll(async () => {
  // Slow enough that a person could watch the words come.
  app = await startTestApp({ env: { DEMO_TOKENS_PER_SECOND: '50' } })
})

const browser = useBrowser()

it('leads a newcomer from a first session to words that arrive live', async () => {
  const { context, requests, faults } = await browser.openProfile()
  const watcher = await openGraphiql(await context.newPage(), app.url)
  expect(await watcher.tabs()).toEqual(['Create', 'Send', 'Watch', 'List'])
  await watcher.run()
  const sessionId = await watcher.result(/session_\w+/)
  await watcher.openTab('Watch')
  await watcher.variables(new RegExp(sessionId))
  await watcher.run()
  await watcher.result(/SessionSnapshot/)

  // Stored at different moments; a page that finds them apart opens a tab for each.
  for (const name of ['tabState', 'variables'])
    await vi.waitFor(async () => expect(await storedBy(context, name)).toContain(sessionId), patience)
  const sender = await openGraphiql(await context.newPage(), app.url)
  expect(await sender.tabs()).toEqual(['Create', 'Send', 'Watch', 'List'])
  await sender.openTab('Send')
  await sender.variables(new RegExp(sessionId))
  await sender.run()
  await sender.result(/"status": "STREAMING"/)

  const seen: (string | null)[] = []
  await vi.waitFor(async () => {
    seen.push(await watcher.reply())
    expect(seen.at(-1)).toBe(await storedReply(sessionId))
  }, patience)
  expect(new Set(seen).size).toBeGreaterThan(1)
  expect(seen.filter((text) => !seen.at(-1)?.startsWith(text ?? '-'))).toEqual([])

  await sender.openTab('List')
  await sender.run()
  await sender.result(new RegExp(sessionId))

  expect(requests.map(({ protocol }) => protocol)).toContain('ws:')
  const ours = new URL(app.url).host
  expect(requests.filter(({ host, protocol }) => host !== ours && protocol !== 'data:')).toEqual([])
  expect(faults).toEqual([])
})

it('shows a reply from its first word to whoever comes late', async () => {
  const { context } = await browser.openProfile()
  const graphiql = await openGraphiql(await context.newPage(), app.url)
  await graphiql.run()
  const sessionId = await graphiql.result(/session_\w+/)
  await graphiql.openTab('Send')
  await graphiql.type('Variables', JSON.stringify({ sessionId, content: '/long 200' }))
  await graphiql.run()
  await graphiql.result(/"status": "STREAMING"/)
  await graphiql.openTab('Watch')
  await graphiql.run()
  await vi.waitFor(async () => expect(await graphiql.reply()).toBe(await storedReply(sessionId)), patience)
})

it('subscribes as whoever the Headers tab names now, on a connection of its own', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  const greetings: string[] = []
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      if (payload.includes('connection_init')) greetings.push(String(payload))
    }),
  )
  const graphiql = await openGraphiql(page, app.url)
  await graphiql.run()
  await graphiql.result(/session_\w+/)
  await graphiql.openTab('Watch')
  await graphiql.run()
  await graphiql.result(/SessionSnapshot/)
  await graphiql.stop()

  const stranger = `Bearer ${app.token({ user: 'stranger' })}`
  await graphiql.type('Headers', `{"Authorization": "${stranger}"}`)
  await graphiql.run()
  await graphiql.result(/"NOT_FOUND"/)
  expect(greetings).toHaveLength(2)
  expect(greetings[0]).not.toContain(stranger)
  expect(greetings[1]).toContain(stranger)
})

it('asks as nobody once the Headers tab is emptied', async () => {
  const { context } = await browser.openProfile()
  const graphiql = await openGraphiql(await context.newPage(), app.url)
  await graphiql.openTab('List')
  await graphiql.type('Headers', '')
  await graphiql.run()
  await graphiql.result(/"UNAUTHENTICATED"/)
})

it('brings a fresh development token, but leaves headers alone that somebody typed', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  let loads = 0
  const url = await servePageAlone(() => `development-${++loads}`)
  await (await openGraphiql(page, url)).headers(/Bearer development-1"/)

  const second = await openGraphiql(page, url)
  await second.headers(/Bearer development-2"/)
  await second.openTab('Watch')
  await second.headers(/Bearer development-2"/)
  await second.type('Headers', '{"Authorization": "Bearer my-own"}')
  await vi.waitFor(async () => expect(await storedBy(context, 'tabState')).toContain('my-own'), patience)

  const third = await openGraphiql(page, url)
  expect(await third.tabs()).toEqual(['Create', 'Send', 'Watch', 'List'])
  await third.headers(/Bearer my-own"/)
  await third.openTab('Create')
  await third.headers(/Bearer development-3"/)
})

it('asks to sign in, in production, before it loads an editor or asks for the schema', async () => {
  const env = {
    NODE_ENV: 'production',
    GRAPHIQL: 'true',
    JWT_SECRET: 's'.repeat(32),
    AUTO_CREATE_TENANTS: 'true',
  }
  const production = await startTestApp({ env })
  const { context, requests } = await browser.openProfile()
  const page = await context.newPage()
  await page.goto(`${production.url}/graphiql`)
  await signInTo(page, app.token())
  // It is of another server.
  await page.getByRole('alert').getByText('The token is refused').waitFor()
  const loaded = requests.map(({ pathname }) => pathname)
  expect(loaded.filter((path) => path === '/graphql')).toHaveLength(1)
  expect(loaded.filter((path) => /editor/.test(path))).toEqual([])

  await signInTo(page, production.token())
  const graphiql = await editorOf(page)
  await graphiql.openTab('List')
  await graphiql.run()
  await graphiql.result(/"totalCount": 0/)
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
  await page.getByRole('link', { name: 'Subscription', exact: true }).waitFor()
  expect(JSON.stringify(await context.storageState())).not.toContain(production.token().split('.')[0])

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in to Parley' }).waitFor()
})

it('keeps a token that somebody brought out of the storage', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  await page.goto(`${await servePageAlone(() => null)}/graphiql`)
  await signInTo(page, app.token())
  const graphiql = await editorOf(page)
  await graphiql.type('Headers', '{"Authorization": "Bearer my-own"}')
  await graphiql.headers(/Bearer my-own"/)
  await graphiql.run()
  await graphiql.result(/The server answered 404/)
  await graphiql.openTab('Send')
  await vi.waitFor(
    async () => expect(await storedBy(context, 'tabState')).toContain('"activeTabIndex":1'),
    patience,
  )
  const stored = JSON.stringify(await context.storageState())
  expect(stored).toContain('graphiql:queries')
  expect(stored).not.toContain('my-own')
  expect(stored).not.toContain(app.token().split('.')[0])
})

/** What a person does with the page and sees on it. */
async function openGraphiql(page: Page, url: string) {
  await page.goto(`${url}/graphiql`)
  return editorOf(page)
}

async function signInTo(page: Page, token: string) {
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

async function editorOf(page: Page) {
  await page.locator('.graphiql-query-editor .view-line').first().waitFor()
  const shown = (selector: string) => page.locator(selector).textContent()
  return {
    openTab: (name: string) => page.getByRole('tab', { name }).click(),
    tabs: () => page.getByRole('tab').allInnerTexts(),
    run: () => page.getByRole('button', { name: 'Execute query' }).click(),
    stop: () => page.getByRole('button', { name: 'Stop query' }).click(),
    /** The first match in the result pane, as soon as there is one. */
    result: (pattern: RegExp) => untilMatch(() => shown('.result-window'), pattern),
    variables: (pattern: RegExp) => untilMatch(() => shown('.graphiql-editor-tool'), pattern),
    /** The text below the result pane, where a watched reply grows. */
    reply: () => page.getByRole('region', { name: 'Reply so far' }).locator('p').textContent(),
    headers: async (pattern: RegExp) => {
      await page.getByRole('button', { name: 'Headers' }).click()
      return untilMatch(() => shown('.graphiql-editor-tool'), pattern)
    },
    /** Replaces the text of one of the two editors below the operation. */
    type: async (tool: 'Variables' | 'Headers', text: string) => {
      await page.getByRole('button', { name: tool }).click()
      await page.locator('.graphiql-editor-tool .view-lines:visible').click()
      await page.keyboard.press('ControlOrMeta+A')
      await page.keyboard.press('Delete')
      await page.keyboard.insertText(text)
      // The editor may have closed quotes and brackets of its own accord.
      await page.keyboard.press('ControlOrMeta+Shift+End')
      await page.keyboard.press('Delete')
    },
  }
}

async function untilMatch(read: () => Promise<string | null>, pattern: RegExp) {
  return vi.waitFor(async () => {
    const text = (await read())?.replaceAll('\u00a0', ' ')
    const [match] = text?.match(pattern) ?? []
    expect(match, `${pattern} in ${text}`).toBeDefined()
    return match ?? ''
  }, patience)
}

/** What the page has stored of its tabs; GraphiQL does that half a second late. */
async function storedBy(context: BrowserContext, key: string) {
  const [site] = (await context.storageState()).origins
  return site?.localStorage.find(({ name }) => name === `parley:graphiql:${key}`)?.value
}

/** The last message of the session, once it is complete, as the API tells it to the page's developer. */
async function storedReply(sessionId: string): Promise<string | undefined> {
  const { session } = await app
    .api({ user: 'developer' })
    .run('query ($id: ID!) { session(id: $id) { messages(last: 1) { nodes { status content } } } }', {
      id: sessionId,
    })
  const [message] = session.messages.nodes
  return message?.status === 'COMPLETE' ? message.content : undefined
}

/** The page without an API behind it. */
async function servePageAlone(token: () => string | null) {
  const directory = join(import.meta.dirname, '../../web/dist')
  const page = createPages({ directory, endpoint: '/graphql', chat: false, graphiql: true, token })
  const server = createServer(async (request, response) => {
    if (!(await page(request, response))) response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
