import type { BrowserContext, Page } from 'playwright-core'
import { expect, vi } from 'vitest'

/** Long enough for a machine that has other things to do. */
export const waiting = { timeout: 60_000, interval: 50 }

export type ChatPage = ReturnType<typeof driveChat>

/** Opens the chat page as the person whose token it is. */
export async function openChat(context: BrowserContext, url: string, token: string, path = '/') {
  const page = await context.newPage()
  page.setDefaultTimeout(waiting.timeout)
  await page.addInitScript((token) => sessionStorage.setItem('parley:token', token), token)
  await page.goto(url + path)
  return driveChat(page)
}

/** What a person does with the page and sees on it. */
export function driveChat(page: Page) {
  const messages = page.getByRole('log', { name: 'Messages' })
  const replies = messages.getByRole('article', { name: 'Reply' })
  const field = page.getByRole('textbox', { name: /^Write / })
  return {
    page,
    messages,
    replies,
    field,
    /** Writes and sends; on the start page that begins a session. */
    async say(text: string) {
      await field.fill(text)
      await field.press('Enter')
    },
    lastReply: async () => (await replies.last().textContent()) ?? '',
    /** The text of the last reply alone, as far as it is written. */
    replyText: async () => (await replies.last().locator('[class*=_markdown_]').textContent()) ?? '',
    async untilReply(pattern: RegExp) {
      await vi.waitFor(async () => expect(await replies.last().textContent()).toMatch(pattern), waiting)
    },
    /** Waits until nothing is being written any more. */
    async untilDone() {
      await replies.last().getByRole('button', { name: 'Answer again' }).waitFor()
    },
    sessionId: async () => {
      await page.waitForURL(/\/s\/session_\w+/)
      return /session_\w+/.exec(page.url())?.[0] ?? ''
    },
    /** Each message with who wrote it, as the page shows them. */
    async rows() {
      return messages
        .getByRole('article')
        .evaluateAll((rows) => rows.map((row) => `${row.ariaLabel}: ${row.textContent}`))
    },
  }
}
