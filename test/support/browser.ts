import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, onTestFinished } from 'vitest'

const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const missing =
  `There is no Chromium at ${executablePath}. Install it (Debian: apt-get install chromium), ` +
  'or name another one in CHROMIUM_PATH.'

/**
 * One real Chromium for the tests of a file, closed after the last of them. Where none is installed, the tests
 * are skipped with a note; in CI they fail.
 */
export function useBrowser() {
  let browser: Browser | undefined

  beforeAll(async () => {
    if (existsSync(executablePath)) browser = await launch()
    else if (process.env.CI === 'true') throw new Error(missing)
  })
  beforeEach(({ skip }) => skip(!browser, missing))
  afterAll(() => browser?.close())

  return {
    /** A browser profile of its own for the current test, which notes what its pages do. */
    async openProfile(options?: BrowserContextOptions) {
      if (!browser) throw new Error(missing)
      const context = await browser.newContext(options)
      onTestFinished(() => context.close())
      // What pages asked the network for, web sockets included, and what went wrong in them.
      const requests: URL[] = []
      const faults: string[] = []
      context.on('request', (request) => requests.push(new URL(request.url())))
      context.on('page', (page) => page.on('websocket', (socket) => requests.push(new URL(socket.url()))))
      context.on('weberror', (fault) => faults.push(String(fault.error())))
      context.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) faults.push(message.text())
      })
      return { context, requests, faults }
    },
  }
}

const launch = () =>
  chromium.launch({
    executablePath,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium refuses its sandbox to root, which is what containers mostly run as.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  })
