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
  await expectAccessible(page)
  await press('Restore Radiators', dialog)
  await expect.poll(() => page.url(), waiting).toContain(sessionId)
  await untilStored('deletedAt', { deletedAt: null })

  await world.alice.mutate('deleteSession', { sessionId })
  await choose('Account', 'Deleted conversations…')
  await press('Erase Radiators for good', dialog)
  await press('Erase for good', dialog.last())
  await dialog.getByText('Nothing is deleted.').waitFor()
  const { sessions } = await world.alice.run('{ sessions(filter: { deleted: true }) { totalCount } }')
  expect(sessions.totalCount).toBe(0)
})

it('opens the passage that a reply refers to', async () => {
  const text = '# Boilers\n\n## Noise\n\nThe boiler hums at night, which is harmless.'
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
  await world.alice.sendMessage({ sessionId, content: 'Why does the boiler hum [1]?', wait: true })
  await page.getByRole('list', { name: 'Sources' }).getByRole('button', { name: '1 Handbook' }).click()
  const dialog = page.getByRole('dialog', { name: 'Handbook' })
  await dialog.getByText('The boiler hums at night, which is harmless.').waitFor()
  await dialog.getByText('Noise').waitFor()
  await dialog.getByText('[1]').waitFor()
  await expectAccessible(page)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
})

it('imports into an account that has nothing yet, on a phone', async () => {
  const { page } = await world.open('newcomer', '/', 390)
  await page.getByRole('button', { name: 'Show the list of conversations' }).click()
  await page.getByRole('button', { name: 'Account', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Import conversations…' }).click()
  const dialog = page.getByRole('dialog')
  const file = JSON.stringify({
    title: 'Trip',
    mapping: {
      a: { id: 'a', parent: null, children: ['b'], message: null },
      b: {
        id: 'b',
        parent: 'a',
        children: [],
        message: { id: 'b', author: { role: 'user' }, content: { content_type: 'text', parts: ['To Bath'] } },
      },
    },
    current_node: 'b',
  })
  await dialog
    .locator('input[type=file]')
    .setInputFiles({ name: 'chats.json', mimeType: 'application/json', buffer: Buffer.from(file) })
  await dialog.getByText(/brought 1 conversation with 1 message/).waitFor()
  await expectAccessible(page)
  await dialog.getByRole('link', { name: 'Trip' }).click()
  await page.getByText('To Bath').waitFor()
})

it('lets a viewer look at every panel and change nothing', async () => {
  const sessionId = await world.alice.createSession({ model: 'demo:chat', title: 'Boilers' })
  await world.alice.mutate('addParticipant', { sessionId, externalUserId: 'vera', role: 'VIEWER' })
  await world.alice.mutate('saveMemory', { scope: 'SESSION', sessionId, key: 'units', value: 'metric' })
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
