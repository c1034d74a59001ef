import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'

/** What axe finds wrong with a page for people who see it otherwise, as far as it is serious: none. */
export async function expectAccessible(page: Page): Promise<void> {
  // As the browser's own command, which no content policy keeps out.
  await page.evaluate(axe.source)
  // What is still fading in or changing its color has a contrast that no person is left with.
  const serious = async () => {
    await page.waitForFunction(() =>
      document
        .getAnimations()
        .every(
          ({ effect, playState }) => playState !== 'running' || effect?.getTiming().iterations === Infinity,
        ),
    )
    return page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run()
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`)
    })
  }
  // One that has begun since may end before axe has looked at all.
  await expect.poll(serious, { timeout: 10_000 }).toEqual([])
}
