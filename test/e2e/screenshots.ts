/**
 * Pictures of the chat page with the demo data, at three widths, light and dark, in `test-results/screenshots/`. Starts a server of
 * its own on an embedded database. `npm run screenshots [-- name…]` takes those scenes alone.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createParley } from '@parley/client'
import { chromium, type Page } from 'playwright-core'

const root = join(import.meta.dirname, '../..')
const target = join(root, 'test-results/screenshots')
const widths = { phone: 390, tablet: 900, desktop: 1440 }
const schemes = ['light', 'dark'] as const

/** What is shown; each begins at the start page. */
const scenes: Record<string, (page: Page) => Promise<void>> = {
  async start(page) {
    await page.getByRole('radio').first().waitFor()
  },
  async conversation(page) {
    await open(page, 'Sourdough')
  },
  async shared(page) {
    await open(page, 'Checkout')
    await page.getByText('search_logs').first().click()
  },
  async replying(page) {
    await page.getByLabel('Write the first message').fill('/pace 30 /long 400 Tell me of the tides.')
    await page.keyboard.press('Enter')
    await page.getByRole('article', { name: 'Reply' }).locator('p').first().waitFor()
    await page.getByLabel('Write a message').fill('And of the moon?')
    await page.keyboard.press('Enter')
    await page.getByText('Waiting for this reply').waitFor()
    await page.getByLabel('Write a message').fill('And of the sun?')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Send earlier: And of the sun?' }).waitFor()
  },
  async versions(page) {
    await page.getByLabel('Write the first message').fill('/repeat The tide is low.')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Answer again' }).waitFor()
    await page.getByLabel('Write a message').press('ArrowUp')
    await page.getByLabel('Edit message').fill('/repeat The tide is high.')
    await page.keyboard.press('Enter')
    await page.getByText('/repeat The tide is high.').waitFor()
    await page.getByRole('button', { name: 'Earlier version' }).first().click()
    await page.getByText('earlier version').waitFor()
  },
  async passage(page) {
    await open(page, 'Handbook')
    await page.getByRole('list', { name: 'Sources' }).getByRole('button').first().click()
    await page.getByRole('dialog').locator('mark').waitFor()
    await page.waitForLoadState('networkidle')
  },
  async markdown(page) {
    await page.getByLabel('Write the first message').fill(`/repeat ${sampleMarkdown}`)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Copy reply' }).waitFor()
    await page.locator('.hljs-keyword').first().waitFor()
  },
  async failure(page) {
    await page.getByLabel('Write the first message').fill('/fail after 12')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Try again' }).waitFor()
  },
  async search(page) {
    await page.keyboard.press('Control+K')
    await page.getByRole('combobox').fill('dough')
    await page.locator('mark').first().waitFor()
  },
  async list(page) {
    const button = page.getByRole('button', { name: 'Show the list of conversations' })
    if (await button.isVisible()) await button.click()
    await page.getByRole('link').first().waitFor()
  },
  ...Object.fromEntries(
    ['share', 'documents', 'model', 'context', 'memory', 'usage', 'transfer', 'settings'].map((id) => [
      `panel-${id}`,
      (page: Page) => openPanel(page, id),
    ]),
  ),
}

type CreateDocument = { createDocument: { document: { id: string } } }
type DocumentChanged = { documentChanged: { status: string } }

const sampleMarkdown = `# Tides in brief

The **moon** pulls the nearer water more than the Earth, and the farther water less: *two* bulges, so two tides a day.

1. Spring tides come at new and full moon.
2. Neap tides come between them.
   - They are about 20 % lower.

| Place | Range | Why |
|---|---|---|
| Bay of Fundy | 16 m | resonance of the bay |
| Baltic Sea | 0.1 m | almost closed |

> Time and tide wait for none.

\`\`\`ts
const hoursBetween = 12.42 // half a lunar day

export function nextHighTide(last: Date): Date {
  return new Date(last.getTime() + hoursBetween * 3_600_000)
}
\`\`\`

More at [the tide tables](https://example.org), with \`inline code\`.`

async function open(page: Page, title: string) {
  const button = page.getByRole('button', { name: 'Show the list of conversations' })
  if (await button.isVisible()) await button.click()
  await page.getByRole('link', { name: title }).first().click()
  await page.getByRole('article').first().waitFor()
}

async function openPanel(page: Page, id: string) {
  await open(page, 'Sourdough')
  await page.goto(`${page.url()}?panel=${id}`)
  await page.getByRole('complementary').waitFor()
  await page.waitForLoadState('networkidle')
}

const dataDir = await mkdtemp(join(tmpdir(), 'parley-screenshots-'))
// Run by root, PostgreSQL runs as another user, who must get in.
await chmod(dataDir, 0o711)
const env = {
  PATH: process.env.PATH,
  DATA_DIR: dataDir,
  PORT: '0',
  LOG_LEVEL: 'fatal',
  OLLAMA_BASE_URL: 'http://127.0.0.1:9',
}
const parley = (...args: string[]) =>
  spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    cwd: dataDir,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })

async function outputOf(...args: string[]) {
  let output = ''
  for await (const chunk of parley(...args).stdout) output += chunk
  return output.trim()
}

await outputOf('seed')
const token = await outputOf('token', '--user', 'alice')
const server = parley('start')
let url = ''
for await (const line of createInterface({ input: server.stdout })) {
  url = /Chat +(\S+)\//.exec(line)?.[1] ?? url
  if (line.includes('/graphql')) break
}
server.stdout.resume()

await askTheHandbook()

/** The demo data has no documents: a conversation that draws on one. */
async function askTheHandbook() {
  await using parley = createParley({ url: `${url}/graphql`, token })
  const steps = [
    'Fill it with water until the needle stands at one bar.',
    'Close the tap and wait a minute.',
    '',
  ]
  const text = `# Boilers\n\n## Filling\n\n${steps.join(' ').repeat(9)}\n\n## Noise\n\nA hum at night is the pump, which is harmless. A knock is air: bleed the radiators, the lowest first. ${'Then look at the needle again. '.repeat(14)}\n\n## Help\n\nThe number of the plumber is on the tank.`
  const { document } = await parley.mutate<CreateDocument, object>(
    `mutation ($input: CreateDocumentInput!) { createDocument(input: $input) {
      ... on CreateDocumentPayload { document { id } } ... on Error { code message } } }`,
    { title: 'Handbook of the boiler.md', mimeType: 'text/markdown', text },
  )
  for await (const { documentChanged } of parley.subscribe<DocumentChanged, object>(
    'subscription ($id: ID!) { documentChanged(id: $id) { status } }',
    { id: document.id },
  ))
    if (documentChanged.status === 'READY') break
  const session = await parley.createSession({ title: 'Handbook', documentIds: [document.id] })
  await session.send('Why does the boiler hum at night [1]?').done
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})
try {
  await mkdir(target, { recursive: true })
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(scenes)
  for (const colorScheme of schemes)
    for (const [size, width] of Object.entries(widths)) {
      const context = await browser.newContext({
        colorScheme,
        viewport: { width, height: size === 'phone' ? 844 : 900 },
      })
      await context.addInitScript((token) => sessionStorage.setItem('parley:token', token), token)
      const page = await context.newPage()
      if (size === 'desktop') {
        await page.goto(url)
        await page.getByRole('link', { name: 'Sourdough' }).waitFor()
        const sinceOpenedMs = Math.round(await page.evaluate(() => performance.now()))
        process.stdout.write(
          `The list was there ${sinceOpenedMs} ms after an empty browser opened the page.\n`,
        )
      }
      for (const name of names) {
        await page.goto(url)
        await page.getByRole('heading', { level: 1 }).first().waitFor()
        await scenes[name]?.(page)
        await page.screenshot({
          path: join(target, `${name}-${size}-${colorScheme}.png`),
          animations: 'disabled',
        })
      }
      await context.close()
    }
} finally {
  await browser.close()
  const exit = once(server, 'exit')
  server.kill('SIGINT')
  await exit
  await rm(dataDir, { recursive: true, force: true })
}
