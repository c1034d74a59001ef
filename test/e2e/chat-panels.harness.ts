import type { Page } from 'playwright-core'
import { expect, vi } from 'vitest'
import { startTestApp } from '../support/app.ts'
import type { useBrowser } from '../support/browser.ts'

/** Long enough for a machine that has other things to do. */
export const waiting = { timeout: 60_000, interval: 50 }

export type PanelWorld = Awaited<ReturnType<typeof startPanelWorld>>

/**
 * A server whose default model cannot be reached, so that one is seen that cannot be chosen, and whose documents are smaller
 * than usual; and alice, who has sessions.
 */
export async function startPanelWorld(browser: ReturnType<typeof useBrowser>) {
  const app = await startTestApp({ env: { DEFAULT_MODEL: 'ollama:llama3.2', DOCUMENT_MAX_BYTES: '2500000' } })
  const alice = app.api()
  return { app, alice, open, openPanel }

  /** The page as this person has it. */
  async function open(user: string, path: string, width = 1_280) {
    const { context, faults } = await browser.openProfile({ viewport: { width, height: 900 } })
    await context.addInitScript(
      `if (location.protocol === 'http:') sessionStorage.setItem('parley:token', '${app.token({ user })}')`,
    )
    const page = await context.newPage()
    page.setDefaultTimeout(waiting.timeout)
    await page.goto(`${app.url}${path}`)
    return { page, faults }
  }

  /** A session of the demo model, as alice has it open with one of the panels beside it. */
  async function openPanel(panel: string, input: Record<string, unknown> = {}, width?: number) {
    const sessionId = await alice.createSession({ model: 'demo:chat', title: 'Boilers', ...input })
    const { page, faults } = await open('alice', `/s/${sessionId}?panel=${panel}`, width)
    const drawer = page.getByRole('complementary')
    const press = (name: string, within: Pick<Page, 'getByRole'> = drawer) =>
      within.getByRole('button', { name, exact: true }).click()
    const read = async (fields: string) =>
      (await alice.run(`query ($id: ID!) { session(id: $id) { ${fields} } }`, { id: sessionId })).session
    /** Until the API tells this of the session. */
    const untilStored = (fields: string, expected: unknown) =>
      vi.waitFor(async () => expect(await read(fields)).toEqual(expected), waiting)
    return { sessionId, page, drawer, faults, press, read, untilStored }
  }
}
