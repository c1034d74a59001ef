import { beforeAll, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser.ts'
import { type PanelWorld, startPanelWorld, waiting } from './chat-panels.harness.ts'

const browser = useBrowser()
let world: PanelWorld
beforeAll(async () => {
  world = await startPanelWorld(browser)
})

it.each(['memory', 'context', 'share', 'usage'])(
  'asks for little in the %s panel while a reply is written',
  async (panel) => {
    const { page, drawer, faults } = await world.openPanel(panel)
    await drawer.getByRole('heading', { level: 2 }).waitFor()
    await page.getByLabel('Write a message').fill('/pace 100 /long 400 Tell me of the tides.')
    await page.getByLabel('Write a message').press('Enter')
    const reply = page.getByRole('article', { name: 'Reply' })
    await vi.waitFor(async () => expect((await reply.textContent())?.length).toBeGreaterThan(100), waiting)
    let requests = 0
    page.on('request', () => requests++)
    await vi.waitFor(async () => expect((await reply.textContent())?.length).toBeGreaterThan(800), waiting)
    expect(requests).toBeLessThan(3)
    expect(faults).toEqual([])
  },
)
