import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { expectAccessible } from '../support/axe.ts'
import { useBrowser } from '../support/browser.ts'
import { type PanelWorld, startPanelWorld, waiting } from './chat-panels.harness.ts'

const browser = useBrowser()
let world: PanelWorld
beforeAll(async () => {
  world = await startPanelWorld(browser)
})

it('renames and deletes a conversation from its menu, and restores or erases it from the account', async () => {
  const { sessionId, page, press, untilStored } = await world.openPanel('')
  const choose = async (menu: string, item: string) => {
    await page.getByRole('button', { name: menu, exact: true }).click()
    await page.getByRole('menuitem', { name: item }).click()
  }
  const dialog = page.getByRole('dialog')
  await choose('Conversation', 'Rename…')
  await dialog.getByLabel('Title').fill('Radiators')
  await expectAccessible(page)
  await page.keyboard.press('Enter')
  await untilStored('title titleSource', { title: 'Radiators', titleSource: 'PERSON' })
  await page.getByRole('heading', { name: 'Radiators', level: 1 }).waitFor()

  await choose('Conversation', 'Delete…')
  await press('Delete', dialog)
  await page.getByText('“Radiators” is deleted.').waitFor()
  await expect.poll(() => page.url(), waiting).not.toContain(sessionId)
  await choose('Account', 'Deleted conversations…')
  await dialog.getByText('Radiators').waitFor()
  await expectAccessible(page)
  await press('Restore Radiators', dialog)
  await expect.poll(() => page.url(), waiting).toContain(sessionId)
  await untilStored('deletedAt', { deletedAt: null })

  await world.alice.change('deleteSession', { sessionId })
  await choose('Account', 'Deleted conversations…')
  await press('Erase Radiators for good', dialog)
  await press('Erase for good', dialog.last())
  await dialog.getByText('Nothing is deleted.').waitFor()
  const { sessions } = await world.alice.run('{ sessions(filter: { deleted: true }) { totalCount } }')
  expect(sessions.totalCount).toBe(0)
})

it('opens the passage that a reply refers to, in its place in the document', async () => {
  const text = [
    `# Boilers\n\n## Filling\n\n${'Fill it with water. '.repeat(60)}Close the tap.`,
    `## Noise\n\nThe boiler hums at night, which is harmless. ${'Let it be. '.repeat(60)}`,
    '## Help\n\nCall the plumber.',
  ].join('\n\n')
  const { document } = await world.alice.mutate(
    'createDocument',
    { title: 'Handbook', mimeType: 'text/markdown', text },
    'document { id }',
  )
  const isReady = async () =>
    (await world.alice.run('query ($id: ID!) { document(id: $id) { status } }', document)).document.status
  await expect.poll(isReady, waiting).toBe('READY')
  const { sessionId, page } = await world.openPanel('', { documentIds: [document.id] })
  // The demo model repeats the question, and with it what looks like its reference.
  await world.alice.change('sendMessage', { sessionId, content: 'Why does the boiler hum [1]?', wait: true })
  await page.getByRole('list', { name: 'Sources' }).getByRole('button', { name: '1 Handbook' }).click()
  const dialog = page.getByRole('dialog', { name: 'Handbook' })
  const passage = dialog.locator('mark').filter({ hasText: 'The boiler hums at night, which is harmless.' })
  await passage.waitFor()
  const around = dialog.getByRole('blockquote')
  await expect
    .poll(() => around.textContent(), waiting)
    .toMatch(/Close the tap\.\s+## Noise.*Let it be\.\s+## Help\s+Call the plumber\.$/s)
  expect(await passage.textContent()).not.toMatch(/Close the tap|Call the plumber/)
  await expect.poll(() => passage.isVisible(), waiting).toBe(true)
  await dialog.getByText('Boilers › Noise').waitFor()
  await dialog.getByText('[1]').waitFor()
  await expectAccessible(page)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
})

it('imports what ChatGPT and LibreChat export into an account that has nothing yet, on a phone', async () => {
  const { page, faults } = await world.open('newcomer', '/', 390)
  const dialog = page.getByRole('dialog')
  async function bring(file: string, brought: RegExp, title: string) {
    await page.getByRole('button', { name: 'Show the list of conversations' }).click()
    await page.getByRole('button', { name: 'Account', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Import conversations…' }).click()
    await dialog.getByText(/up to 1.0 MB/).waitFor()
    await dialog.locator('input[type=file]').setInputFiles(join(import.meta.dirname, '../fixtures', file))
    await dialog.getByText(brought).waitFor()
    await expectAccessible(page)
    await dialog.getByRole('link', { name: title }).first().click()
    await dialog.waitFor({ state: 'detached' })
  }
  const rows = page.getByRole('log', { name: 'Messages' }).getByRole('article')
  await bring('chatgpt-conversations.json', /brought 2 conversations with 5 messages/, 'Tides and the moon')
  await rows.getByText(/How high is this tide\?/).waitFor()
  await bring('librechat-flat.json', /brought 1 conversation with 5 messages/, 'Bread')
  await rows.getByText('At 21 °C about two hours.').waitFor()
  await rows.getByText('weather').waitFor()
  expect(faults).toEqual([])
})

it('lets a viewer look at every panel and change nothing', async () => {
  const sessionId = await world.alice.createSession({ model: 'demo:chat', title: 'Boilers' })
  await world.alice.change('addParticipant', { sessionId, externalUserId: 'vera', role: 'VIEWER' })
  await world.alice.change('saveMemory', { scope: 'SESSION', sessionId, key: 'units', value: 'metric' })
  const { page, faults } = await world.open('vera', `/s/${sessionId}?panel=share`)
  const drawer = page.getByRole('complementary')
  const show = (panel: string) => page.getByRole('button', { name: panel, exact: true }).click()
  await drawer.getByText('Only owners can share this conversation with others.').waitFor()
  await show('Documents')
  await drawer.getByText(/Replies draw on the documents/).waitFor()
  expect(await drawer.locator('input[type=file]').count()).toBe(0)
  await show('Model and parameters')
  await drawer.getByLabel('Temperature').waitFor()
  expect(await drawer.getByLabel('Temperature').isDisabled()).toBe(true)
  await show('Context of the next message')
  await drawer.getByText('Only who may write here can see what the next message carries.').waitFor()
  await show('Memory')
  await drawer.getByText('metric', { exact: true }).waitFor()
  expect(await drawer.getByRole('button', { name: 'Edit units' }).count()).toBe(0)
  await show('Settings')
  await drawer.getByLabel('Title').waitFor()
  expect(await drawer.getByLabel('Title').isDisabled()).toBe(true)
  expect(await drawer.getByRole('heading', { name: 'Delete' }).count()).toBe(0)

  await show('Share')
  await drawer.getByRole('button', { name: 'Leave this conversation' }).click()
  await expect.poll(() => page.url(), waiting).not.toContain(sessionId)
  expect(faults).toEqual([])
})

it('takes the keyboard into a panel, and back to where it was opened', async () => {
  const { page, drawer } = await world.openPanel('')
  const opener = page.getByRole('button', { name: 'Share', exact: true })
  await opener.press('Enter')
  const hasFocus = (element: typeof opener) => element.evaluate((it) => it === document.activeElement)
  await expect.poll(() => hasFocus(drawer.getByRole('heading', { level: 2 })), waiting).toBe(true)
  await page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })
  await expect.poll(() => hasFocus(opener), waiting).toBe(true)
})

it('says why a panel cannot be read, and reads it when asked again', async () => {
  const { page, drawer, press } = await world.openPanel('settings')
  await page.route('**/graphql', (route) => route.abort())
  await page.goto(page.url().replace('settings', 'model'))
  await drawer.getByRole('alert').getByText('This could not be read').waitFor()
  await page.unroute('**/graphql')
  await press('Try again')
  await drawer.getByLabel('Search models').waitFor()
})

it('writes a draft over nothing that another tab has stored meanwhile, and tells where it would', async () => {
  const { sessionId, page, drawer, press, untilStored } = await world.openPanel('settings')
  const title = drawer.getByLabel('Title')
  await title.fill('Mine')
  await world.alice.change('updateSession', { sessionId, tags: ['theirs'], metadata: { ticket: 7 } })
  // What was not touched follows.
  await drawer.getByRole('button', { name: 'Remove the tag theirs' }).waitFor()
  await press('Save')
  await untilStored('title tags metadata', { title: 'Mine', tags: ['theirs'], metadata: { ticket: 7 } })

  await title.fill('Mine again')
  await world.alice.change('updateSession', { sessionId, title: 'Theirs' })
  await drawer.getByRole('alert').getByText('Changed elsewhere meanwhile: title.').waitFor()
  await expectAccessible(page)
  await press('Take theirs')
  expect(await title.inputValue()).toBe('Theirs')
  expect(await drawer.getByRole('button', { name: 'Save' }).count()).toBe(0)

  await page.getByRole('button', { name: 'Model and parameters', exact: true }).click()
  await drawer.getByLabel('Temperature').fill('0.9')
  await world.alice.change('updateSession', {
    ...{ sessionId, systemPrompt: 'Theirs.', parameters: { topP: 0.5 } },
    contextPolicy: { kind: 'LAST_MESSAGES', messages: 4 },
  })
  await drawer.getByRole('alert').getByText('Changed elsewhere meanwhile: parameters.').waitFor()
  await expect.poll(() => drawer.getByLabel('System prompt').inputValue(), waiting).toBe('Theirs.')
  await press('Save')
  await untilStored('parameters systemPrompt contextPolicy { messages }', {
    ...{ parameters: { temperature: 0.9 }, systemPrompt: 'Theirs.', contextPolicy: { messages: 4 } },
  })
})

it('goes on with a new token when the one of the sign-in is revoked, uploads among it', async () => {
  const { context } = await browser.openProfile()
  const page = await context.newPage()
  page.setDefaultTimeout(waiting.timeout)
  const given: string[] = []
  // As the server does for development, here as a user of its own.
  await page.route('**/config.json', async (route) => {
    given.push(world.app.token({ user: 'uma' }))
    await route.fulfill({ json: { endpoint: '/graphql', token: given.at(-1) } })
  })
  const sessionId = await world.app.api({ user: 'uma' }).createSession({ model: 'demo:chat' })
  await page.goto(`${world.app.url}/s/${sessionId}?panel=documents`)
  const drawer = page.getByRole('complementary')
  await drawer.getByText(/up to 2.5 MB each/).waitFor()
  const { jti } = JSON.parse(Buffer.from(given[0]?.split('.')[1] ?? '', 'base64url').toString())
  await world.app.api({ user: 'root', role: 'ADMIN' }).change('revokeTokens', { tokenId: jti })
  const file = { name: 'late.txt', mimeType: 'text/plain', buffer: Buffer.from('Better late.') }
  await drawer.locator('input[type=file]').setInputFiles(file)
  await drawer.getByText(/Text · 12 bytes · 1 passage/).waitFor()
  await page.getByRole('textbox', { name: 'Write a message' }).fill('Still here?')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Answer again' }).waitFor()
  expect(given.length).toBeGreaterThan(1)
})
