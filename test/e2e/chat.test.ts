import { beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { useBrowser } from '../support/browser.ts'
import { watchSession } from '../support/session-reader.ts'
import { openChat, waiting } from './chat.harness.ts'

let app: TestApp
beforeAll(async () => {
  // Slow enough that a person could watch the words come.
  app = await startTestApp({ env: { DEMO_TOKENS_PER_SECOND: '50' } })
})

const browser = useBrowser()
const open = async (user: string, path?: string) => {
  const { context, faults, requests } = await browser.openProfile()
  return { ...(await openChat(context, app.url, app.token({ user }), path)), context, faults, requests }
}

describe('a conversation', () => {
  it('begins with the first words, and its reply comes word by word', async () => {
    const chat = await open('ada')
    await chat.page.getByText('Nothing here yet').waitFor()
    // Nothing of the list moves the menu of the user from its place at the end.
    const menu = await chat.page.getByRole('button', { name: 'Account' }).boundingBox()
    expect(menu?.y).toBeGreaterThan((chat.page.viewportSize()?.height ?? 0) - 60)
    await chat.say('/pace 20 /long 120 Why are there tides?')
    const sessionId = await chat.sessionId()
    const seen = new Set<string>()
    await vi.waitFor(async () => {
      seen.add(await chat.replyText())
      expect(await chat.replies.last().getByRole('button', { name: 'Answer again' }).count()).toBe(1)
    }, waiting)
    expect(seen.size).toBeGreaterThan(1)
    const item = chat.page.getByRole('link', { name: /Why are there tides/ })
    await item.waitFor()
    expect(await item.getAttribute('aria-current')).toBe('page')

    const before = await chat.rows()
    await chat.page.reload()
    await chat.untilDone()
    expect(await chat.rows()).toEqual(before)
    expect(chat.page.url()).toBe(`${app.url}/s/${sessionId}`)
    const ours = new URL(app.url).host
    expect(chat.requests.filter(({ host, protocol }) => host !== ours && protocol !== 'data:')).toEqual([])
    expect(chat.faults).toEqual([])
  })

  it('is stopped by Escape, answered again, edited and forked', async () => {
    const chat = await open('bea')
    await chat.say('/long 2000 Tell me all.')
    await chat.untilReply(/A long reply/)
    await chat.field.press('Escape')
    await chat.untilReply(/Stopped\./)
    expect(await chat.lastReply()).toMatch(/A long reply/)

    await chat.say('What is an index?')
    await vi.waitFor(async () => expect(await chat.replies.count()).toBe(2), waiting)
    await chat.untilDone()
    const first = await chat.replies.last().getAttribute('id')
    await chat.replies.last().getByRole('button', { name: 'Answer again' }).click()
    await vi.waitFor(
      async () => expect(await chat.replies.last().getAttribute('id')).not.toBe(first),
      waiting,
    )
    await chat.untilDone()
    expect(await chat.replies.count()).toBe(2)
    const again = chat.replies.last()
    await again.getByRole('button', { name: 'Earlier version' }).click()
    await again.getByText(/earlier version/).waitFor()
    expect(await again.getByRole('button', { name: 'Answer again' }).count()).toBe(0)
    await again.getByRole('button', { name: 'Later version' }).click()
    await chat.untilDone()

    await chat.field.press('ArrowUp')
    const edit = chat.page.getByRole('textbox', { name: 'Edit message' })
    await edit.fill('What is a monad?')
    await edit.press('Enter')
    await chat.messages.getByText('What is a monad?', { exact: true }).waitFor()
    // The answer to the edit may come before the feed tells that what was there is replaced.
    const replaced = chat.messages.getByText('What is an index?', { exact: true })
    await vi.waitFor(async () => expect(await replaced.count()).toBe(0), waiting)
    await vi.waitFor(async () => expect(await chat.replies.count()).toBe(2), waiting)
    await chat.untilDone()

    // The version before, with the reply that it had; from there one can go on, too.
    const edited = chat.messages.getByRole('article', { name: 'Message' }).last()
    await edited.getByText('2 / 2').waitFor()
    await edited.getByRole('button', { name: 'Earlier version' }).click()
    await edited.getByText('What is an index?', { exact: true }).waitFor()
    await edited.getByRole('region', { name: 'The reply that it had' }).getByText(/index/).first().waitFor()
    expect(await edited.getByRole('button', { name: 'Edit message' }).count()).toBe(0)
    await edited.getByRole('button', { name: 'Later version' }).click()
    await edited.getByText('What is a monad?', { exact: true }).waitFor()

    const before = await chat.sessionId()
    await chat.replies.first().getByRole('button', { name: 'Go on from here in a new conversation' }).click()
    await vi.waitFor(async () => expect(await chat.sessionId()).not.toBe(before), waiting)
    await vi.waitFor(async () => expect(await chat.messages.getByRole('article').count()).toBe(2), waiting)
    expect(chat.faults).toEqual([])
  })

  it('shows what waits for its turn, and lets it be moved and withdrawn', async () => {
    const chat = await open('cleo')
    await chat.say('/long 3000 Go on and on.')
    await chat.untilReply(/A long reply/)
    await chat.say('Second question')
    await chat.say('Third question')
    const queue = chat.page.getByRole('region', { name: 'Waiting for this reply' })
    await vi.waitFor(
      async () =>
        expect(await queue.getByRole('listitem').allInnerTexts()).toEqual([
          'Second question',
          'Third question',
        ]),
      waiting,
    )
    expect(await chat.messages.getByText('Second question').count()).toBe(0)
    await queue.getByRole('button', { name: 'Send earlier: Third question' }).click()
    await vi.waitFor(
      async () =>
        expect(await queue.getByRole('listitem').allInnerTexts()).toEqual([
          'Third question',
          'Second question',
        ]),
      waiting,
    )
    await queue.getByRole('button', { name: 'Do not send: Second question' }).click()
    await vi.waitFor(
      async () => expect(await queue.getByRole('listitem').allInnerTexts()).toEqual(['Third question']),
      waiting,
    )
    await chat.field.press('Escape')
    await queue.waitFor({ state: 'detached' })
    await chat.messages.getByText('Third question', { exact: true }).waitFor()
    await chat.untilDone()
    expect(chat.faults).toEqual([])
  })

  it('tells why a reply failed, and tries again', async () => {
    const chat = await open('dora')
    await chat.say('/fail after 5 Please.')
    await chat.replies.getByRole('button', { name: 'Try again' }).waitFor()
    expect(await chat.lastReply()).not.toContain('undefined')
    await chat.replies.getByRole('button', { name: 'Try again' }).click()
    await vi.waitFor(async () => expect(await chat.replies.count()).toBe(1), waiting)
  })

  it('shows calls of tools, and goes on with the answer that a person gives', async () => {
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    const tool = {
      name: 'book_table',
      description: 'Books a table.',
      parameters: { type: 'object', properties: { seats: { type: 'number' } } },
      requiresApproval: true,
    }
    await admin.change('createAgent', { key: 'host', name: 'Host', tools: [tool] })
    const sessionId = await app.api({ user: 'eve' }).createSession({ agent: 'host' })
    const chat = await open('eve', `/s/${sessionId}`)
    await chat.say('/tool book_table {"seats": 4}')
    const form = chat.page.getByRole('form', { name: 'Answers for tools' })
    await form.getByRole('textbox', { name: 'Answer' }).fill('Booked for eight.')
    await form.getByRole('button', { name: 'Send and go on' }).click()
    await form.waitFor({ state: 'detached' })
    await vi.waitFor(async () => expect(await chat.replies.count()).toBe(2), waiting)
    await chat.messages.getByText('Answered', { exact: true }).click()
    await chat.messages.getByText('Booked for eight.', { exact: true }).waitFor()
    await chat.untilDone()
    expect(chat.faults).toEqual([])
  })
})

describe('two people', () => {
  it('see the same words, each other, and who types', async () => {
    const sessionId = await app.api({ user: 'fay' }).createSession({ title: 'Together' })
    await app.api({ user: 'gus' }).run('{ viewer { user { id } } }')
    await app
      .api({ user: 'fay' })
      .change('addParticipant', { sessionId, externalUserId: 'gus', role: 'EDITOR' })
    const fay = await open('fay', `/s/${sessionId}`)
    const gus = await open('gus', `/s/${sessionId}`)
    await fay.page.getByRole('group', { name: 'Here now' }).getByRole('img', { name: 'gus' }).waitFor()
    await gus.field.pressSequentially('Hel')
    await fay.page.getByText('gus is typing…').waitFor()
    await gus.say('/long 80 Hello, both of you.')
    await fay.messages.getByText('/long 80 Hello, both of you.', { exact: true }).waitFor()
    await Promise.all([fay.untilDone(), gus.untilDone()])
    expect(await fay.replyText()).toBe(await gus.replyText())
    await fay.messages.getByRole('img', { name: 'gus' }).waitFor()

    // More than have a place in the head.
    for (const name of ['ann', 'ben', 'cat', 'dan', 'eli']) {
      await app.api({ user: name }).run('{ viewer { user { id } } }')
      await app
        .api({ user: 'fay' })
        .change('addParticipant', { sessionId, externalUserId: name, role: 'VIEWER' })
      app.socket({ user: name }).watch(watchSession, { sessionId })
    }
    await fay.page.getByRole('group', { name: 'Here now' }).getByRole('img', { name: 'and 2 more' }).waitFor()
    expect([...fay.faults, ...gus.faults]).toEqual([])
  })

  it('have lists that move as others write, with what is unread', async () => {
    const api = app.api({ user: 'hal' })
    const shared = await api.createSession({ title: 'Shared one' })
    await api.createSession({ title: 'Newest one' })
    await app.api({ user: 'ivy' }).run('{ viewer { user { id } } }')
    await api.change('addParticipant', { sessionId: shared, externalUserId: 'ivy', role: 'EDITOR' })
    const hal = await open('hal')
    const list = hal.page.getByRole('navigation', { name: 'Conversations' }).getByRole('link')
    await vi.waitFor(async () => expect((await list.allInnerTexts())[0]).toContain('Newest one'), waiting)
    await app
      .api({ user: 'ivy' })
      .change('sendMessage', { sessionId: shared, content: 'Look here', clientId: 'look' })
    await vi.waitFor(
      async () => expect((await list.allInnerTexts())[0]).toMatch(/Shared one\s*2\s*unread/),
      waiting,
    )
    await list.first().click()
    await hal.untilDone()
    await vi.waitFor(async () => {
      const { session } = await api.run('query ($id: ID!) { session(id: $id) { viewerUnread } }', {
        id: shared,
      })
      expect(session.viewerUnread).toBe(0)
    }, waiting)
  })
})

it('keeps its looks where a panel is opened on the page that began the conversation', async () => {
  const { page, field, say, untilDone, faults } = await open('lea')
  await field.waitFor()
  const looks = () =>
    page.getByRole('button', { name: 'Send' }).evaluate((button) => getComputedStyle(button).borderRadius)
  const before = await looks()
  await say('Hello')
  await untilDone()
  await page.getByRole('button', { name: 'Settings', exact: true }).click()
  await page.getByRole('complementary').getByLabel('Title').waitFor()
  const sheets = await page.evaluate(() =>
    [...document.styleSheets].map(({ href }) => href?.replace(/.*\//, '')),
  )
  expect(sheets).toEqual([...new Set(sheets)])
  expect(await looks()).toBe(before)
  expect(faults).toEqual([])
})
