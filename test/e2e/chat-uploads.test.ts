import { beforeAll, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser.ts'
import { type PanelWorld, startPanelWorld, waiting } from './chat-panels.harness.ts'

const browser = useBrowser()
let world: PanelWorld
beforeAll(async () => {
  world = await startPanelWorld(browser)
})

it('sends two files at a time, however often some are added, and one that failed again when asked', async () => {
  const { page, drawer, press } = await world.openPanel('documents')
  await drawer.getByText(/Replies draw on the documents/).waitFor()
  let sending = 0
  let most = 0
  let isBroken = true
  let coming = 5
  const held: (() => void)[] = []
  await page.route('**/graphql', async (route) => {
    const body = route.request().postData() ?? ''
    if (!body.includes('createDocument')) return route.continue()
    if (body.includes('broken.txt') && isBroken) return route.abort()
    most = Math.max(most, ++sending)
    coming--
    // Those that may go out together do: each waits for another, but the last.
    const going = new Promise<void>((resolve) => held.push(resolve))
    if (held.length === 2 || coming <= 0) for (const go of held.splice(0)) go()
    await going
    const response = await route.fetch()
    sending--
    await route.fulfill({ response })
  })
  const add = (...names: string[]) =>
    drawer
      .locator('input[type=file]')
      .setInputFiles(
        names.map((name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(`This is ${name}.`) })),
      )
  await add('one.txt', 'two.txt', 'three.txt')
  await add('four.txt', 'five.txt', 'broken.txt')
  const inUse = drawer.getByRole('list', { name: 'Documents of this conversation' })
  await vi.waitFor(async () => expect(await inUse.getByText(/1 passage/).count()).toBe(5), waiting)
  expect(most).toBe(2)

  await inUse.getByRole('button', { name: 'Dismiss broken.txt' }).waitFor()
  isBroken = false
  await press('Upload broken.txt again')
  await vi.waitFor(async () => expect(await inUse.getByText(/1 passage/).count()).toBe(6), waiting)
})
