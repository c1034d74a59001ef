import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'
import { openChat, waiting } from './chat.harness.ts'

let app: TestApp
let longId: string
beforeAll(async () => {
  app = await startTestApp()
  const api = app.api({ user: 'mia' })
  for (let i = 0; i < 34; i++) await api.createSession({ title: `Number ${i}` })
  longId = await api.createSession({ title: 'A long one' })
  for (let batch = 0; batch < 5; batch++) {
    const messages = Array.from({ length: 100 }, (_, i) => {
      const n = batch * 100 + i + 1
      return i % 2 === 0
        ? { role: 'USER', content: `Question ${n} about the tides?` }
        : {
            role: 'ASSISTANT',
            content: `Answer ${n}.\n\n- **One** thing\n- *Another* \`thing\`\n\nAnd the rest of it.`,
          }
    })
    await api.change('addMessages', { sessionId: longId, messages })
  }
})

const browser = useBrowser()
const open = async (path = '/', viewport = { width: 1280, height: 800 }) => {
  const { context, faults } = await browser.openProfile({ viewport })
  return { ...(await openChat(context, app.url, app.token({ user: 'mia' }), path)), faults }
}

describe('a conversation of 500 messages', () => {
  it('opens at its end and brings older ones without a jump or a long halt', async () => {
    const chat = await open(`/s/${longId}`)
    const rows = chat.messages.getByRole('article')
    await chat.messages.getByText('Answer 500.').waitFor()
    await vi.waitFor(async () => expect(await isInView(chat.page, 'Answer 500.')).toBe(true), waiting)
    for (let seen = await rows.count(); seen < 500; ) {
      const known = rows.first()
      const id = await known.getAttribute('id')
      await chat.messages.evaluate((view) => view.scrollTo({ top: 300 }))
      const before = await placeOf(chat.page, id)
      await vi.waitFor(async () => expect(await rows.count()).toBeGreaterThan(seen), waiting)
      expect(Math.abs((await placeOf(chat.page, id)) - before)).toBeLessThan(3)
      seen = await rows.count()
    }
    await chat.messages.getByText('Question 1 about').waitFor()
    // About 50 ms on a quiet machine; this one may have other things to do.
    const longest = await chat.page.evaluate(longestTaskOfScroll)
    expect(longest).toBeLessThan(300)
    await chat.page.getByRole('button', { name: 'Jump to latest' }).click()
    await vi.waitFor(async () => expect(await isInView(chat.page, 'Answer 500.')).toBe(true), waiting)
    expect(chat.faults).toEqual([])
  })

  it('stays where a person reads while a reply grows, and follows at the end', async () => {
    const chat = await open(`/s/${longId}`)
    await chat.messages.getByText('Answer 500.').waitFor()
    await chat.messages.hover()
    await chat.page.mouse.wheel(0, -600)
    await chat.page.getByRole('button', { name: 'Jump to latest' }).waitFor()
    const top = await chat.messages.evaluate((view) => view.scrollTop)
    const api = app.api({ user: 'mia' })
    await api.change('sendMessage', { sessionId: longId, content: '/long 300 More.', clientId: 'more' })
    await chat.untilDone()
    expect(await chat.messages.evaluate((view) => view.scrollTop)).toBe(top)
    await chat.page.getByRole('button', { name: 'Jump to latest' }).click()
    await chat.say('/long 300 Still more.')
    await chat.messages.getByText('/long 300 Still more.', { exact: true }).waitFor()
    await chat.untilDone()
    await vi.waitFor(
      async () =>
        expect(
          await chat.messages.evaluate((view) => view.scrollHeight - view.scrollTop - view.clientHeight),
        ).toBeLessThan(3),
      waiting,
    )
  })
})

describe('the page', () => {
  it('lists more sessions when asked, and finds words in all of them', async () => {
    const chat = await open()
    const list = chat.page.getByRole('navigation', { name: 'Conversations' }).getByRole('link')
    await chat.page.getByRole('button', { name: 'Load more' }).click()
    await vi.waitFor(async () => expect(await list.count()).toBe(35), waiting)
    await chat.page.keyboard.press('ControlOrMeta+K')
    const field = chat.page.getByRole('combobox', { name: 'Search messages and titles' })
    await field.fill('"Question 31"')
    await chat.page.getByRole('option', { name: /Question 31 about/ }).waitFor()
    await field.press('Enter')
    await chat.page.waitForURL(/message=message_/)
    await vi.waitFor(async () => expect(await isInView(chat.page, 'Question 31 about')).toBe(true), waiting)
    expect(chat.faults).toEqual([])
  })

  it('keeps as many sessions in the list as were loaded, over a reconnect', async () => {
    const chat = await open()
    const list = chat.page.getByRole('navigation', { name: 'Conversations' }).getByRole('link')
    await chat.page.getByRole('button', { name: 'Load more' }).click()
    await vi.waitFor(async () => expect(await list.count()).toBe(35), waiting)
    const fewest = await chat.page.evaluateHandle(fewestLinks)
    await chat.page.context().setOffline(true)
    await chat.page.getByText('You are offline').waitFor()
    await app.api({ user: 'mia' }).createSession({ title: 'Begun meanwhile' })
    await chat.page.context().setOffline(false)
    await list.filter({ hasText: 'Begun meanwhile' }).waitFor()
    expect(await fewest.evaluate((seen) => seen.links)).toBe(35)
  })

  it('has its list in a drawer on a phone', async () => {
    const chat = await open('/', { width: 390, height: 800 })
    const list = chat.page.getByRole('navigation', { name: 'Conversations' })
    await chat.field.waitFor()
    expect(await list.isVisible()).toBe(false)
    await chat.page.getByRole('button', { name: 'Show the list of conversations' }).click()
    await list.getByRole('link', { name: /A long one/ }).click()
    await chat.messages.getByText('Answer 500.').waitFor()
    await vi.waitFor(async () => expect(await list.isVisible()).toBe(false), waiting)
    expect(await chat.page.evaluate(whatSticksOut)).toEqual([])
    await chat.page.getByRole('button', { name: 'Show the list of conversations' }).click()
    // It slides in.
    await expect.poll(() => list.isVisible(), waiting).toBe(true)
    await expect.poll(() => chat.page.evaluate(whatSticksOut), waiting).toEqual([])
    // With the keyboard one is in the list, and afterwards where one was.
    expect(await list.evaluate((element) => element.contains(document.activeElement))).toBe(true)
    expect(await chat.page.locator('main').getAttribute('inert')).not.toBeNull()
    await chat.page.keyboard.press('Escape')
    await expect.poll(() => list.isVisible(), waiting).toBe(false)
    expect(await chat.page.evaluate(() => document.activeElement?.ariaLabel)).toBe(
      'Show the list of conversations',
    )
  })

  it('lets arrow keys choose with whom to talk, and goes on to the first message after a click', async () => {
    const chat = await open()
    const choices = chat.page.getByRole('group', { name: 'With whom' })
    await choices.getByRole('radio', { checked: true }).focus()
    const hasFocus = () => choices.evaluate((element) => element.contains(document.activeElement))
    for (let step = 0; step < 2; step++) {
      await chat.page.keyboard.press('ArrowRight')
      expect(await hasFocus()).toBe(true)
    }
    await choices.locator('label').first().click()
    await expect.poll(hasFocus, waiting).toBe(false)
    expect(await chat.field.evaluate((field) => field === document.activeElement)).toBe(true)
  })

  it('counts a message as the server does, by characters', async () => {
    const chat = await open()
    await chat.field.fill('👍'.repeat(6_000))
    expect(await chat.page.getByRole('button', { name: 'Send' }).isEnabled()).toBe(true)
    await chat.field.fill('👍'.repeat(10_001))
    await chat.page.getByText('10,001 / 10,000').waitFor()
    expect(await chat.page.getByRole('button', { name: 'Send' }).isEnabled()).toBe(false)
  })

  it('copies also where the browser has no clipboard for pages', async () => {
    const chat = await open()
    // As on a page over plain HTTP.
    await chat.page.addInitScript(() =>
      Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }),
    )
    await chat.page.reload()
    await chat.say('/repeat Take this along')
    await chat.untilDone()
    await chat.replies.last().hover()
    await chat.replies.last().getByRole('button', { name: 'Copy reply' }).click()
    await chat.replies.last().getByRole('button', { name: 'Copied' }).waitFor()
    await chat.field.fill('')
    await chat.field.press('ControlOrMeta+V')
    expect(await chat.field.inputValue()).toBe('Take this along')
  })

  it('asks for a token, says what is wrong with one, and keeps it out of the disk', async () => {
    const { context } = await browser.openProfile()
    const page = await context.newPage()
    await page.goto(app.url)
    const draft = page.getByRole('textbox', { name: 'Write the first message' })
    await draft.fill('Nobody else is to read this')
    await page.getByRole('button', { name: 'Account' }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    const field = page.getByRole('textbox', { name: 'Token' })
    await field.fill('nonsense')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('alert').getByText('This is not a token').waitFor()
    await field.fill(app.token({ user: 'mia' }).replace(/[^.]+$/, 'forged'))
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('alert').getByText('The server does not take this token').waitFor()
    await field.fill(`Bearer ${app.token({ user: 'mia' })}`)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByText('mia', { exact: true }).waitFor()
    expect(await draft.inputValue()).toBe('')
    expect(JSON.stringify(await context.storageState())).not.toContain('eyJ')
  })

  it.each(['light', 'dark'] as const)(
    'has no serious fault of accessibility in %s colours',
    async (scheme) => {
      const chat = await open()
      await chat.page.emulateMedia({ colorScheme: scheme })
      await chat.page.getByRole('radio').first().waitFor()
      expect(await faultsOf(chat.page)).toEqual([])
      await chat.say('/repeat # Title\n\n`code` and [a link](https://example.org)\n\n```js\nconst a = 1\n```')
      await chat.untilDone()
      await chat.page.locator('.hljs-keyword').first().waitFor()
      expect(await faultsOf(chat.page)).toEqual([])
      await chat.page.keyboard.press('ControlOrMeta+K')
      await chat.page.getByRole('combobox').fill('tides')
      await chat.page.getByRole('option').first().waitFor()
      expect(await faultsOf(chat.page)).toEqual([])
      expect(chat.faults).toEqual([])
    },
  )
})

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Watches for how few links there are in the list of conversations, from now on. */
function fewestLinks() {
  const seen = { links: Number.POSITIVE_INFINITY }
  const count = () => {
    seen.links = Math.min(seen.links, document.querySelectorAll('nav a').length)
  }
  new MutationObserver(count).observe(document.body, { childList: true, subtree: true })
  count()
  return seen
}

/** What axe finds that keeps people out, with where. */
async function faultsOf(page: Page) {
  // Through the debugger: the page's own policy lets no foreign code in.
  await page.evaluate(axe)
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe is not known to the test's types
    const { violations } = await (globalThis as any).axe.run()
    return violations
      .filter(({ impact }: { impact: string }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => [id, nodes.map(({ html }) => html)])
  })
}

const isInView = (page: Page, text: string) =>
  page
    .getByRole('log')
    .getByText(text)
    .evaluate((element) => {
      const { top, bottom } = element.getBoundingClientRect()
      return top >= 0 && bottom <= innerHeight
    })

/** What a person would have to touch or read beyond the edges of the screen. */
function whatSticksOut() {
  const shown = [...document.querySelectorAll('button, a, input, textarea, article, h1')].filter((element) =>
    element.checkVisibility({ visibilityProperty: true }),
  )
  return shown
    .filter((element) => {
      const { left, right } = element.getBoundingClientRect()
      return left < 0 || right > innerWidth
    })
    .map(({ outerHTML }) => outerHTML.slice(0, 120))
}

const placeOf = (page: Page, id: string | null) =>
  page.evaluate((id) => document.getElementById(id ?? '')?.getBoundingClientRect().top ?? Number.NaN, id)

/** Milliseconds of the longest task while the view is scrolled from its top to its end, a screen to a frame. */
async function longestTaskOfScroll() {
  const view = document.querySelector('[role=log]')
  if (!view) return Number.NaN
  const tasks = [0]
  const observer = new PerformanceObserver((list) => {
    tasks.push(...list.getEntries().map(({ duration }) => duration))
  })
  observer.observe({ type: 'longtask' })
  for (let top = 0; top < view.scrollHeight; top += view.clientHeight) {
    view.scrollTop = top
    await new Promise(requestAnimationFrame)
  }
  view.scrollTop = view.scrollHeight - 3 * view.clientHeight
  await new Promise(requestAnimationFrame)
  observer.disconnect()
  return Math.max(...tasks)
}
