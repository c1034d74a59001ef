import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { createGraphiqlPage } from '../../src/server/graphiql.ts'
import { startApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'

let app: Awaited<ReturnType<typeof startApp>>
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app.stop())

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

  await vi.waitFor(async () => expect(await storedTabs(context)).toContain(sessionId), waiting)
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
  }, waiting)
  expect(new Set(seen).size).toBeGreaterThan(3)
  expect(seen.filter((text) => !seen.at(-1)?.startsWith(text ?? '-'))).toEqual([])

  await sender.openTab('List')
  await sender.run()
  await sender.result(new RegExp(sessionId))

  expect(requests.map(({ protocol }) => protocol)).toContain('ws:')
  const ours = new URL(app.url).host
  expect(requests.filter(({ host, protocol }) => host !== ours && protocol !== 'data:')).toEqual([])
  expect(faults).toEqual([])
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

  const stranger = `Bearer ${await app.token({ user: 'stranger', tenant: 'elsewhere' })}`
  await graphiql.typeHeaders(`{"Authorization": "${stranger}"}`)
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
  await graphiql.typeHeaders('')
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
  await second.typeHeaders('{"Authorization": "Bearer my-own"}')
  await vi.waitFor(async () => expect(await storedTabs(context)).toContain('my-own'), waiting)

  const third = await openGraphiql(page, url)
  expect(await third.tabs()).toEqual(['Create', 'Send', 'Watch', 'List'])
  await third.headers(/Bearer my-own"/)
  await third.openTab('Create')
  await third.headers(/Bearer development-3"/)
})

it('keeps a token that somebody brought out of the storage', async () => {
  const { context } = await browser.openProfile()
  const graphiql = await openGraphiql(await context.newPage(), await servePageAlone(() => null))
  await graphiql.typeHeaders('{"Authorization": "Bearer my-own"}')
  await graphiql.headers(/Bearer my-own"/)
  await graphiql.run()
  await graphiql.result(/The server answered 404/)
  await graphiql.openTab('Send')
  await vi.waitFor(async () => expect(await storedTabs(context)).toContain('"activeTabIndex":1'), waiting)
  const stored = JSON.stringify(await context.storageState())
  expect(stored).toContain('graphiql:queries')
  expect(stored).not.toContain('my-own')
})

const waiting = { timeout: 15_000, interval: 50 }

/** What a person does with the page and sees on it. */
async function openGraphiql(page: Page, url: string) {
  await page.goto(`${url}/graphiql`)
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
    /** Replaces the text of the Headers tab. */
    typeHeaders: async (text: string) => {
      await page.getByRole('button', { name: 'Headers' }).click()
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
  }, waiting)
}

/** What the page has stored of its tabs; GraphiQL does that half a second late. */
async function storedTabs(context: BrowserContext) {
  const [site] = (await context.storageState()).origins
  return site?.localStorage.find(({ name }) => name === 'parley:graphiql:tabState')?.value
}

type StoredReply = { data: { session: { messages: { nodes: { status: string; content: string }[] } } } }

/** The last message of the session, once it is complete, as the API tells it to the same person. */
async function storedReply(sessionId: string) {
  const config = await fetch(`${app.url}/graphiql/config.json`)
  const { token } = (await config.json()) as { token: string }
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      query: 'query ($id: ID!) { session(id: $id) { messages(last: 1) { nodes { status content } } } }',
      variables: { id: sessionId },
    }),
  })
  const { data } = (await response.json()) as StoredReply
  const [message] = data.session.messages.nodes
  return message?.status === 'COMPLETE' ? message.content : undefined
}

/** The page without an API behind it. */
async function servePageAlone(token: () => string | null) {
  const directory = join(import.meta.dirname, '../../web/dist')
  const page = createGraphiqlPage({ directory, endpoint: '/graphql', token })
  const server = createServer(async (request, response) => {
    if (!(await page(request, response))) response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
