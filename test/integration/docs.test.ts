import { execFile, spawn } from 'node:child_process'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'graphql'
import { beforeAll, describe, expect, it } from 'vitest'
import { developmentSecret } from '../../src/config.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { pagesOf, read, readSections, root } from '../support/docs.ts'

const run = promisify(execFile)
const sections = await readSections()
const admin = { user: 'alice', role: 'ADMIN' } as const

let app: TestApp
let someSessionId: string
beforeAll(async () => {
  app = await startTestApp({
    env: { SENDS_PER_MINUTE: '0', REQUESTS_PER_SECOND: '0', DEMO_TOKENS_PER_SECOND: '500' },
  })
  someSessionId = await app.api(admin).createSession()
})
/** The server that the docs speak of is the one of the test. */
const atTestApp = (text: string) =>
  text.replaceAll('localhost:4000', new URL(app.url).host).replaceAll('session_…', someSessionId)

/** The operations of each page that has any, each with its name. */
const operations = Object.entries(Object.groupBy(sections, ({ page }) => page)).flatMap(
  ([page, its = []]) => {
    const texts = its.flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'graphql'))
    const named = texts.map(
      ({ text }, index) => [/^\w+ (\w+)/.exec(text)?.[1] ?? `number ${index + 1}`, text] as const,
    )
    return named.length > 0 ? [{ page, named }] : []
  },
)

describe.each(operations)('the operations of $page', ({ named }) => {
  /** What the answers gave: `$runId` is the id of the last `run`. */
  const known: Record<string, unknown> = {}
  const learn = (value: unknown, name = '') => {
    if (Array.isArray(value)) return learn(value[0], name)
    if (name === 'cursor') known.after = value
    if (name === 'toolCallId') known.toolCallId = value
    if (typeof value !== 'object' || value === null) return
    if ('id' in value) known[`${name}Id`] = value.id
    for (const [key, inner] of Object.entries(value)) learn(inner, key)
  }

  it.each(named)('%s', async (name, text) => {
    const [definition] = parse(text).definitions
    if (definition?.kind !== 'OperationDefinition') return expect.fail('It is no operation.')
    known.sessionId ??= someSessionId
    const names = definition.variableDefinitions?.map(({ variable }) => variable.name.value) ?? []
    const variables = Object.fromEntries(names.map((each) => [each, known[each]]))
    if (definition.operation === 'subscription') {
      const watch = app.socket(admin).watch(atTestApp(text), variables)
      const event = await watch.at(0)
      watch.stop()
      expect(event, JSON.stringify(watch.failure)).not.toBeNull()
      return learn(event)
    }
    const data = await app.api(admin).run(atTestApp(text), variables)
    const [[field, result]] = Object.entries<{ code?: string }>(data) as [[string, { code?: string }]]
    expect(result?.code, JSON.stringify(result)).toBe(name === 'Refused' ? 'BAD_USER_INPUT' : undefined)
    learn(result, field)
  })
})

/** What a recipe leaves to its reader. */
const uses: Record<string, string> = {
  Relay: `
    import { useRelay } from '../../test/relay/use-relay.ts'
    await useRelay(environment)
    parley.close()`,
}

describe('the programs of the docs', () => {
  const folder = join(root, 'test-results/docs')
  const programs = sections
    .map(({ page, heading, blocks }) => ({
      page,
      heading,
      text: blocks.flatMap(({ language, text }) => (language === 'ts' ? [text] : [])).join('\n'),
    }))
    .filter(({ text }) => text !== '')
    .map((program, index) => ({ ...program, file: join(folder, `program-${index}.ts`) }))

  /** Not run, since they are parts of a page; but of the types that they should have. */
  const components = sections
    .flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'tsx'))
    .map(({ text }, index) => ({ text, file: join(folder, `component-${index}.tsx`), heading: '' }))

  beforeAll(async () => {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await Promise.all(
      [...programs, ...components].map(({ file, text, heading }) =>
        writeFile(file, atTestApp(text + (uses[heading] ?? ''))),
      ),
    )
    // Against what is published, so without the condition that takes the library from its sources.
    const lib = ['esnext', 'dom', 'dom.iterable']
    const compilerOptions = { customConditions: [], jsx: 'react-jsx', lib }
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['*.ts', '*.tsx'] }),
    )
  })

  it('have the types that they should', async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['--project', folder]).catch(
      (error) => error,
    )
    expect(stdout).toBe('')
  })

  it.each(programs)('$page: $heading', async ({ file }) => {
    const env = { PATH: process.env.PATH, PARLEY_TOKEN: app.token(), JWT_SECRET: developmentSecret }
    await run(process.execPath, [file], { env })
  })
})

describe('the commands of the docs that ask the server', () => {
  const scripts = sections
    .map(({ page, heading, blocks }) => ({
      page,
      heading,
      texts: blocks.filter(({ language }) => language === 'sh'),
    }))
    .flatMap(({ page, heading, texts }) =>
      texts.filter(({ text }) => text.includes('curl ')).map(({ text }) => ({ page, heading, text })),
    )

  it.each(scripts)('$page: $heading', async ({ text }) => {
    const script = atTestApp(text).replaceAll(/\$\(npm run -s token[^)]*\)/g, '$PARLEY_TOKEN')
    const env = { PATH: process.env.PATH, PARLEY_TOKEN: app.token(), TOKEN: app.token() }
    const child = spawn('bash', ['-c', script], { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    for await (const chunk of child.stdout) {
      output += chunk
      // One that follows a feed has seen enough with its first event.
      if (output.includes('event: next') && child.pid) process.kill(-child.pid)
    }
    expect(output).toContain('"data"')
    expect(output).not.toMatch(/"errors"|"code"/)
  })
})

it('links between pages lead somewhere', async () => {
  for (const page of ['README.md', 'CONTRIBUTING.md', 'client/README.md', ...(await pagesOf('docs'))]) {
    for (const [, target = ''] of (await read(page)).matchAll(/\]\((?!\w+:|#)([^)#]+)/g)) {
      await expect(access(join(root, dirname(page), target)), `${page}: ${target}`).resolves.toBeUndefined()
    }
  }
})
