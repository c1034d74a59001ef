import type { Page, Request } from 'playwright-core'
import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'
import { openChat } from './chat.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
  const tool = {
    name: 'book_table',
    description: 'Books a table.',
    parameters: { type: 'object', properties: { seats: { type: 'number' } } },
    requiresApproval: true,
  }
  await app
    .api({ user: 'root', role: 'ADMIN' })
    .change('createAgent', { key: 'host', name: 'Host', tools: [tool] })
})

const browser = useBrowser()

async function openHost() {
  const { context } = await browser.openProfile()
  const sessionId = await app.api({ user: 'eve' }).createSession({ agent: 'host' })
  const chat = await openChat(context, app.url, app.token({ user: 'eve' }), `/s/${sessionId}`)
  const form = chat.page.getByRole('form', { name: 'Answers for tools' })
  const answer = form.getByRole('textbox', { name: 'Answer' })
  return { ...chat, answer }
}

/** Keeps the next answer to the operation, as the server has given it, from the page until it is let go. */
async function holdAnswer(page: Page, operation: string) {
  const held = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  let isNext = true
  await page.route('**/graphql', async (route) => {
    if (!isNext || !asks(route.request(), operation)) return route.fallback()
    isNext = false
    const response = await route.fetch()
    held.resolve()
    await letGo.promise
    await route.fulfill({ response })
  })
  return { held: held.promise, letGo: letGo.resolve }
}
const asks = (request: Request, operation: string) => request.postData()?.includes(operation) ?? false
const answerTo = (page: Page, operation: string) =>
  page.waitForResponse((response) => asks(response.request(), operation))

it('calls of tools stay where the feed has brought them before the answer to the send', async () => {
  const { page, say, messages, answer } = await openHost()
  const send = await holdAnswer(page, 'mutation SendMessage')
  await say('/tool book_table {"seats": 4}')
  await answer.fill('Booked.')
  // Asked for once the answer to the send was taken.
  const runs = answerTo(page, 'query ConversationRuns')
  send.letGo()
  await runs
  await messages.getByText('2 tokens').waitFor()
  expect(await answer.inputValue()).toBe('Booked.')
})

it('what a run waits for stays where an older answer about it comes late', async () => {
  const { page, say, messages, answer } = await openHost()
  const send = await holdAnswer(page, 'mutation SendMessage')
  const first = answerTo(page, 'query ConversationRuns')
  await say(`/pace 5 /tool book_table {"seats": 4, "note": "${'By the window. '.repeat(5)}"}`)
  await messages.getByText('Is written…').waitFor()
  await first
  const runs = await holdAnswer(page, 'query ConversationRuns')
  send.letGo()
  await runs.held
  await answer.fill('Booked.')
  const late = answerTo(page, 'query ConversationRuns')
  runs.letGo()
  await late
  // Long enough for the page to draw what it makes of that.
  await page.waitForTimeout(500)
  expect(await answer.inputValue()).toBe('Booked.')
})

it('what one writes in a panel goes on there when the conversation comes late', async () => {
  const { context } = await browser.openProfile()
  const sessionId = await app.api({ user: 'eve' }).createSession({ title: 'Boilers' })
  const { page, field } = await openChat(context, app.url, app.token({ user: 'eve' }))
  const conversation = await holdAnswer(page, 'query Conversation(')
  await page.goto(`${app.url}/s/${sessionId}?panel=settings`)
  await conversation.held
  const title = page.getByRole('complementary').getByLabel('Title')
  await title.click()
  await page.keyboard.press('End')
  await page.keyboard.type(' hum')
  conversation.letGo()
  await field.waitFor()
  await page.keyboard.type(' at night')
  expect(await title.inputValue()).toBe('Boilers hum at night')
  expect(await field.inputValue()).toBe('')
})
