import { readFile } from 'node:fs/promises'
import { beforeAll, expect, it } from 'vitest'
import { expectAccessible } from '../support/axe.ts'
import { useBrowser } from '../support/browser.ts'
import { pdfOf } from '../support/pdf.ts'
import { type PanelWorld, startPanelWorld, waiting } from './chat-panels.harness.ts'

const browser = useBrowser()
let world: PanelWorld
beforeAll(async () => {
  world = await startPanelWorld(browser)
})

it('shares a session, tells who is there, and says what each may do', async () => {
  const { sessionId, page, drawer, press, faults, untilStored } = await world.openPanel('share')
  const people = drawer.getByRole('list', { name: 'People in this conversation' }).getByRole('listitem')
  await drawer.getByLabel('Share with').fill('bob')
  await press('Add')
  await people.filter({ hasText: 'bob' }).waitFor()
  await drawer.getByLabel('Role of bob').selectOption('Viewer')
  await untilStored('participants { role }', { participants: [{ role: 'OWNER' }, { role: 'VIEWER' }] })

  const watch = world.app
    .socket({ user: 'bob' })
    .watch('subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }', { id: sessionId })
  await people.filter({ hasText: 'bob' }).getByText('Here now').waitFor()
  watch.stop()
  await people.filter({ hasText: 'bob' }).getByText('Not here now').waitFor()

  await drawer.getByLabel('Share with').fill('alice')
  await press('Add')
  await drawer.getByText(/whose session it is/).waitFor()
  await drawer.getByText('Also shares, deletes and restores the conversation.').waitFor()
  await expectAccessible(page)

  await press('Remove bob')
  await untilStored('participants { role }', { participants: [{ role: 'OWNER' }] })
  await press('Undo', page)
  await untilStored('participants { role }', { participants: [{ role: 'OWNER' }, { role: 'VIEWER' }] })
  await drawer.getByRole('heading', { level: 2 }).press('Escape')
  await drawer.waitFor({ state: 'detached' })
  expect(faults).toEqual([])
})

it('takes documents, shows how far they are, and gives them to the session or takes them away', async () => {
  const { page, drawer, press, read, untilStored } = await world.openPanel('documents', {}, 390)
  const inUse = drawer.getByRole('list', { name: 'Documents of this conversation' }).getByRole('listitem')
  await drawer.getByText(/Replies draw on the documents/).waitFor()
  await drawer.locator('input[type=file]').setInputFiles([
    { name: 'boiler.md', mimeType: '', buffer: Buffer.from('# Boilers\n\nThe boiler hums at night.') },
    { name: 'manual.pdf', mimeType: 'application/pdf', buffer: pdfOf(['Bleed the radiators first.']) },
    { name: 'virus.exe', mimeType: '', buffer: Buffer.from('MZ') },
    { name: 'huge.txt', mimeType: '', buffer: Buffer.alloc(2_600_000, 'a') },
  ])
  await inUse
    .filter({ hasText: 'boiler.md' })
    .getByText(/Markdown · \d+ bytes · 1 passage/)
    .waitFor()
  await inUse
    .filter({ hasText: 'manual.pdf' })
    .getByText(/PDF .* 1 passage/)
    .waitFor()
  await inUse
    .filter({ hasText: 'virus.exe' })
    .getByText(/It is of no kind that can be read/)
    .waitFor()
  await inUse
    .filter({ hasText: 'huge.txt' })
    .getByText('It has 2.6 MB; at most 2.5 MB are allowed.')
    .waitFor()
  await press('Dismiss huge.txt')
  await press('Dismiss virus.exe')
  await expectAccessible(page)
  expect((await read('documents { title }')).documents).toHaveLength(2)

  // Dropped from another window.
  const dropped = await page.evaluateHandle(() => {
    const transfer = new DataTransfer()
    transfer.items.add(new File(['Chimneys are swept in May.'], 'chimney.txt'))
    return transfer
  })
  await drawer.getByText('Add documents').dispatchEvent('drop', { dataTransfer: dropped })
  await inUse
    .filter({ hasText: 'chimney.txt' })
    .getByText(/1 passage/)
    .waitFor()

  await drawer.getByRole('switch', { name: 'Use chimney.txt in this conversation' }).uncheck()
  await drawer.getByRole('list', { name: 'Other documents' }).getByText('chimney.txt').waitFor()
  await untilStored('documents { status }', { documents: [{ status: 'READY' }, { status: 'READY' }] })
  await press('Delete boiler.md')
  const dialog = page.getByRole('dialog')
  await dialog.getByText('This cannot be undone.').waitFor()
  // Closes the dialog, and leaves the panel under it.
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await press('Delete boiler.md')
  await press('Delete for good', page)
  await untilStored('documents { title }', { documents: [{ title: 'manual.pdf' }] })
})

it('chooses a model and parameters, and tells what holds and where it comes from', async () => {
  const admin = world.app.api({ user: 'root', role: 'ADMIN' })
  const { agent } = await admin.run('{ agent(key: "research") { id } }')
  await admin.change('updateAgent', {
    agentId: agent.id,
    parameters: { temperature: 0.3 },
    systemPrompt: 'Cite your sources.',
  })
  const { page, drawer, press, untilStored, faults } = await world.openPanel('model', { agent: 'research' })
  const offered = drawer.getByRole('radio')
  await drawer.getByText('Its provider does not answer', { exact: true }).waitFor()
  expect(await drawer.getByRole('radio', { name: /llama3.2 Its provider/ }).isDisabled()).toBe(true)
  await drawer.getByText('128K tokens · Free').waitFor()
  await drawer.getByLabel('Search models').fill('cha')
  await expect.poll(() => offered.count()).toBe(1)
  await drawer.getByLabel('Search models').fill('nothing like it')
  await drawer.getByText('No model has').waitFor()
  await drawer.getByLabel('Search models').fill('')

  const temperature = drawer.getByLabel('Temperature')
  expect(await temperature.getAttribute('placeholder')).toBe('0.3')
  expect(await drawer.getByText('From Research').count()).toBe(2)
  await temperature.fill('0.9')
  await drawer.getByLabel('Stop at').fill('END\nSTOP')
  await drawer.getByLabel('System prompt').fill('Answer in French.')
  await drawer.getByLabel('What goes along with a message').selectOption('The last messages')
  await drawer.getByLabel('Messages', { exact: true }).fill('4')
  await expectAccessible(page)
  await press('Save')
  await untilStored('model parameters systemPrompt contextPolicy { kind messages }', {
    model: 'demo:chat',
    parameters: { temperature: 0.9, stop: ['END', 'STOP'] },
    systemPrompt: 'Answer in French.',
    contextPolicy: { kind: 'LAST_MESSAGES', messages: 4 },
  })
  await drawer.getByRole('button', { name: 'Save' }).waitFor({ state: 'detached' })
  await drawer.getByLabel('Stop at').fill('x'.repeat(101))
  await press('Save')
  await drawer
    .getByRole('alert')
    .getByText(/at most 100/)
    .waitFor()
  await press('Discard')
  expect(await drawer.getByLabel('Stop at').inputValue()).toBe('END\nSTOP')
  expect(faults).toEqual([])
})

it('shows the context of the next message, part by part', async () => {
  const { sessionId, page, drawer } = await world.openPanel('', { systemPrompt: 'Be brief.' })
  await page.getByLabel('Write a message').fill('Is it hot?')
  await page.getByRole('button', { name: 'Context of the next message' }).click()
  const parts = drawer.getByRole('list', { name: 'What the model gets, in order' }).getByRole('listitem')
  await parts.filter({ hasText: 'System prompt' }).getByText('Be brief.').first().waitFor()
  expect(await drawer.getByLabel('With the message').inputValue()).toBe('Is it hot?')
  await drawer.getByLabel('With the message').fill('How hot is it?')
  await parts.filter({ hasText: 'Question' }).getByText('How hot is it?').first().waitFor()
  await world.alice.change('sendMessage', { sessionId, content: 'Is it warm?', wait: true })
  await parts.filter({ hasText: 'Message · user' }).getByText('Is it warm?').first().waitFor()
  const { session } = await world.alice.run(
    `query ($id: ID!) { session(id: $id) { contextPreview(content: "How hot is it?") { totalTokens } } }`,
    { id: sessionId },
  )
  await drawer.getByText(String(session.contextPreview.totalTokens), { exact: true }).waitFor()
  await parts.filter({ hasText: 'Question' }).locator('summary').click()
  await parts.filter({ hasText: 'Question' }).locator('pre').getByText('How hot is it?').waitFor()
  await expectAccessible(page)
})

it('remembers, changes and forgets, and hears of what others do', async () => {
  const { sessionId, page, drawer, press, read, untilStored } = await world.openPanel('memory', {}, 390)
  const place = { scope: 'SESSION', sessionId }
  const stored = 'memories { nodes { key value } }'
  await drawer.getByText('Nothing is remembered yet.').waitFor()
  await press('Add a memory')
  await drawer.getByLabel('Key').fill('diet')
  await drawer.getByLabel('Value').fill('{"vegan": tru')
  await drawer.getByText(/The value is not JSON/).waitFor()
  expect(await drawer.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
  await drawer.getByLabel('Value').fill('{"vegan": true}')
  await drawer.getByLabel('Expires').fill('2040-01-01T10:00')
  await expectAccessible(page)
  await press('Save')
  await untilStored(stored, { memories: { nodes: [{ key: 'diet', value: { vegan: true } }] } })
  await drawer.getByText(/until .*2040/).waitFor()

  await world.alice.change('saveMemory', { ...place, key: 'units', value: 'metric' })
  await drawer.getByText('metric', { exact: true }).waitFor()
  await press('Edit units')
  await drawer.getByLabel('Value').fill('imperial')
  await press('Save')
  await drawer.getByText('imperial', { exact: true }).waitFor()

  await press('Delete units')
  await untilStored('memories { nodes { key } }', { memories: { nodes: [{ key: 'diet' }] } })
  await press('Undo', page)
  await drawer.getByText('imperial', { exact: true }).waitFor()
  await press('Forget all 2')
  await press('Forget', page)
  await drawer.getByText('Nothing is remembered yet.').waitFor()
  expect(await read(stored)).toEqual({ memories: { nodes: [] } })

  await drawer.getByRole('tab', { name: 'This conversation' }).press('ArrowRight')
  await drawer.getByText(/in all of your conversations/).waitFor()
  await press('Add a memory')
  await drawer.getByLabel('Key').fill('name')
  await drawer.getByLabel('Value').fill('Alice')
  await press('Save')
  await drawer.getByText('Alice', { exact: true }).waitFor()
})

it('counts what a session used, and shows the days by model', async () => {
  const { sessionId, page, drawer } = await world.openPanel('usage')
  await world.alice.change('sendMessage', { sessionId, content: 'Count me', wait: true })
  const replies = drawer
    .getByRole('region', { name: 'This conversation' })
    .locator('div', { hasText: /^Replies/ })
  await replies.getByText('1', { exact: true }).waitFor()
  const admin = world.app.api({ user: 'root', role: 'ADMIN' })
  await admin.change('setQuota', { scope: 'EACH_USER', period: 'DAY', tokens: 1_000_000 })
  await world.alice.change('sendMessage', { sessionId, content: 'And me', wait: true })
  await drawer
    .getByRole('list', { name: 'Quotas' })
    .getByText(/ of 1M$/)
    .waitFor()
  const all = drawer.getByRole('region', { name: 'All of your conversations' })
  await all.getByLabel('How long back').selectOption('7 days')
  await all.getByRole('img', { name: /Tokens a day, .* in 7 days/ }).waitFor()
  await all.getByText('Show as a table').click()
  await all.getByRole('columnheader', { name: 'demo:chat' }).waitFor()
  await all.getByRole('tab', { name: 'Cost' }).click()
  await all.getByText('No cost in 7 days.').waitFor()
  await expectAccessible(page)
})

it('downloads a session, takes it back as a file, and names the fault of one that is none', async () => {
  const { sessionId, page, drawer } = await world.openPanel('transfer')
  await world.alice.change('sendMessage', { sessionId, content: 'Keep this', wait: true })
  const download = async (name: string) => {
    const [started] = await Promise.all([
      page.waitForEvent('download'),
      drawer.getByRole('button', { name: `Download as ${name}` }).click(),
    ])
    return { name: started.suggestedFilename(), text: await readFile(await started.path(), 'utf8') }
  }
  const markdown = await download('Markdown')
  expect(markdown.name).toMatch(/\.md$/)
  expect(markdown.text).toContain('Keep this')
  const json = await download('JSON')
  expect(JSON.parse(json.text)).toMatchObject({ format: 'parley/1' })

  const file = drawer.locator('input[type=file]')
  await file.setInputFiles({
    name: 'bad.json',
    mimeType: 'application/json',
    buffer: Buffer.from('{"a": 1}'),
  })
  await drawer.getByText('Nothing of “bad.json” was stored.').waitFor()
  await drawer.getByText(/is in no format that is known/).waitFor()
  await file.setInputFiles({ name: json.name, mimeType: 'application/json', buffer: Buffer.from(json.text) })
  await drawer.getByText(/brought 1 conversation with 2 messages/).waitFor()
  await expectAccessible(page)
  await drawer.getByRole('link', { name: 'Boilers' }).click()
  await expect.poll(() => page.url(), waiting).toMatch(/\/s\/session_/)
  expect(page.url()).not.toContain(sessionId)
})

it('changes title, tags and metadata, keeps a template, and deletes with a way back', async () => {
  const { sessionId, page, drawer, press, untilStored } = await world.openPanel('settings', {
    agent: 'primary',
  })
  await drawer.getByLabel('Title').fill('Heating')
  await drawer.getByLabel('Tags').fill('home')
  await drawer.getByLabel('Tags').press('Enter')
  await drawer.getByLabel('Metadata').fill('[1]')
  await drawer.getByText('The metadata is not an object.').waitFor()
  await drawer.getByLabel('Metadata').fill('{"ticket": 7}')
  await expectAccessible(page)
  await press('Save')
  await untilStored('title titleSource tags metadata', {
    title: 'Heating',
    titleSource: 'PERSON',
    tags: ['home'],
    metadata: { ticket: 7 },
  })
  await drawer.getByLabel('Save as a template').fill('Warmth')
  await drawer.getByLabel('Save as a template').press('Enter')
  await page.getByText('New conversations can begin from “Warmth”.').waitFor()

  await press('Delete')
  await page.getByText('“Heating” is deleted.').waitFor()
  await untilStored('deletedAt', null)
  // It stays for as long as somebody is at it.
  await page.getByRole('button', { name: 'Undo' }).focus()
  await page.waitForTimeout(8_000)
  await press('Undo', page)
  await expect.poll(() => page.url(), waiting).toContain(sessionId)
  await untilStored('deletedAt', { deletedAt: null })
})
