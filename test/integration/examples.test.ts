import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { type Provider, ProviderError } from '../../src/llm/provider.ts'
import type { Api } from '../support/api.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'

const examples = join(import.meta.dirname, '../../examples')

/** Answers with the first word of the question, but fails the first two that begin with `List`. */
function createFlakyProvider() {
  const asked: string[] = []
  const provider: Provider = {
    name: 'flaky',
    list: async () => [{ name: 'model', capabilities: ['TEXT'] }],
    async *stream({ messages }) {
      const [word = ''] = messages.at(-1)?.content.split(' ') ?? []
      yield { type: 'start' }
      // Titles are asked for, too.
      if (['Summarize', 'List', 'Categorize'].includes(word)) asked.push(word)
      if (word === 'List' && asked.filter((each) => each === word).length <= 2)
        return yield { type: 'error', error: new ProviderError('invalid', 'No list now.') }
      yield { type: 'text-delta', text: `${word}: done` }
      yield { type: 'end', finishReason: 'stop' }
    },
  }
  return { asked, provider }
}

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

/** Runs one as its reader would, and gives what it prints; a failure of it fails the test. Null: whoever comes without a token. */
async function runAt(
  at: TestApp,
  identity: Identity | null,
  name: string,
  ...args: string[]
): Promise<string> {
  const token = identity && { PARLEY_TOKEN: at.token(identity) }
  const env = { PATH: process.env.PATH, PARLEY_URL: at.url, ...token }
  const program = promisify(execFile)(process.execPath, [join(examples, name), ...args], { env })
  const { stdout, stderr } = await program
  expect(stderr).toBe('')
  return stdout
}

const run = (identity: Identity, name: string, ...args: string[]) => runAt(app, identity, name, ...args)

const sessionsOf = async (api: Api) =>
  (
    await api.run(`{ sessions(first: 2) { nodes {
      title metadata systemPrompt messageCount
      messages { nodes { role content status toolCalls { name arguments } } } } } }`)
  ).sessions.nodes

it('work-session: comes back to one session, streams, and finds it by its metadata', async () => {
  const user = { user: 'analyst' }
  const first = await run(user, 'work-session.ts', 'What were the key takeaways?', '/repeat Interest rates.')
  expect(first).toContain('A new work session on acme-10k-2026')
  expect(first).toMatch(/> \/repeat Interest rates\.\nInterest rates\.\n/)
  expect(first).toMatch(/4 messages, \d+ tokens in, \d+ out/)

  const second = await run(user, 'work-session.ts', 'Anything else?')
  expect(second).toContain('Back at the work session')
  // The demo model says what it remembers.
  expect(second).toContain('This is turn **3** of our conversation')
  expect(await sessionsOf(app.api(user))).toMatchObject([
    {
      messageCount: 6,
      metadata: { filingId: 'acme-10k-2026' },
      systemPrompt: expect.stringContaining('10-K'),
    },
  ])
})

it('they take the token for development where none is given', async () => {
  expect(await runAt(app, null, 'work-session.ts', 'Hello', '/repeat Hello.')).toContain('Hello.')
  const { sessions } = await app.api({ user: 'developer' }).run('{ sessions { totalCount } }')
  expect(sessions.totalCount).toBe(1)
})

it('entity-refinement: goes on with the JSON of the last answer', async () => {
  const user = { user: 'extractor' }
  const entities = '[{"name": "Acme Corp", "ticker": "ACME"}, {"name": "Globex", "ticker": null}]'
  const told = await run(user, 'entity-refinement.ts', 'Acme buys Globex.', `/repeat Here: ${entities}`)
  expect(told).toBe('Acme Corp\tACME\nGlobex\t-\n')
  expect((await sessionsOf(app.api(user)))[0].messages.nodes).toMatchObject([
    { role: 'USER', content: 'Extract the entities from:\n\nAcme buys Globex.' },
    { role: 'ASSISTANT' },
    { role: 'USER' },
    { role: 'ASSISTANT', content: `Here: ${entities}` },
  ])
})

it('feed-enrichment: keeps its results, and does nothing twice', async () => {
  const user = { user: 'feed' }
  const folder = await mkdtemp(join(tmpdir(), 'parley-feed-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'items.json')
  await writeFile(file, JSON.stringify([{ id: 'a', content: 'Profit is up.' }]))
  const first = await run(user, 'feed-enrichment.ts', file)
  expect(JSON.parse(first)).toMatchObject({
    id: 'a',
    summary: expect.stringContaining('Summarize in one sentence: Profit is up.'),
    takeaways: expect.stringContaining('turn **2**'),
    category: expect.stringContaining('turn **3**'),
  })
  expect(await run(user, 'feed-enrichment.ts', file)).toBe(first)
  const { id: itemId, content, ...enriched } = JSON.parse(first)
  expect(content).toBe('Profit is up.')
  expect(await sessionsOf(app.api(user))).toMatchObject([
    { title: 'a', messageCount: 6, metadata: { itemId, enriched } },
  ])
})

it('feed-enrichment: goes on after a step that failed', async () => {
  const flaky = createFlakyProvider()
  const own = await startTestApp({ providers: [flaky.provider], env: { DEFAULT_MODEL: 'flaky:model' } })
  const start = () => runAt(own, { user: 'feed' }, 'feed-enrichment.ts')
  for (let failed = 0; failed < 2; failed += 1)
    await expect(start()).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('item-1, takeaways: '),
    })
  expect(flaky.asked).toEqual(['Summarize', 'List', 'List'])
  const told = await start()
  expect(flaky.asked.slice(3)).toEqual(['List', 'Categorize', 'Summarize', 'List', 'Categorize'])
  expect(told.match(/"takeaways": "List: done"/g)).toHaveLength(2)
  expect(await start()).toBe(told)
  expect(flaky.asked).toHaveLength(8)
  await own.stop()
})

it('healthcare-assistant: remembers what the model saves, and answers the tools that it calls', async () => {
  const user = { user: 'patient-123', role: 'ADMIN' } as const
  const told = await run(
    user,
    'healthcare-assistant.ts',
    '/tool check_appointment {}',
    '/tool memory_save {"key": "medications", "value": []}',
  )
  expect(told).toContain('[check_appointment {}]')
  expect(told).toContain('`check_appointment` answered “{"time":"14:00","status":"confirmed"}”')
  expect(told).toContain('  allergies = ["penicillin"] (CLIENT)\n')
  expect(told).toContain('  medications = [] (MODEL)\n')
  // What the model changed is not undone by a second start.
  expect(await run(user, 'healthcare-assistant.ts', 'Hello')).toContain('  medications = [] (MODEL)\n')
  const [session] = await sessionsOf(app.api(user))
  expect(session.messages.nodes.slice(0, 8).map(({ role }: { role: string }) => role)).toEqual([
    ...['USER', 'ASSISTANT', 'TOOL', 'ASSISTANT'],
    ...['USER', 'ASSISTANT', 'TOOL', 'ASSISTANT'],
  ])
  expect(session.messages.nodes[1].toolCalls).toEqual([{ name: 'check_appointment', arguments: {} }])
})

it('rag-chat: answers from a document, and tells from where', async () => {
  const user = { user: 'reader' }
  const told = await run(user, 'rag-chat.ts', join(examples, 'README.md'), '/repeat With a token [1].')
  expect(told).toContain('README.md: 100 %')
  expect(told).toContain('With a token [1].\n  [1] README.md\n')
  const { documents } = await app.api(user).run('{ documents { nodes { title mimeType status } } }')
  expect(documents.nodes).toEqual([{ title: 'README.md', mimeType: 'text/markdown', status: 'READY' }])
})

it('they say what is wrong where nothing was set up', async () => {
  const program = promisify(execFile)(process.execPath, [join(examples, 'rag-chat.ts')], {
    env: { PATH: process.env.PATH, PARLEY_URL: app.url, PARLEY_TOKEN: 'nonsense' },
  })
  await expect(program).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('token') })
})
