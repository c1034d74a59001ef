import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

it('is published with its types and sources, and nothing else', async () => {
  const pack = ['pack', '--dry-run', '--json', '--workspace', 'client']
  const { stdout } = await promisify(execFile)('npm', pack, { cwd: root })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  expect(paths).toEqual(
    expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/apollo.js', 'src/index.ts']),
  )
  expect(paths.filter((path) => !/^(dist|src)\/|^(package\.json|README\.md)$/.test(path))).toEqual([])
})

it('adds at most 15 kB to a page, gzipped and with all that it needs', async () => {
  const input = 'client-page'
  const { output } = (await build({
    configFile: false,
    root,
    logLevel: 'error',
    build: { write: false, rolldownOptions: { input } },
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === input ? id : undefined),
        load: (id) =>
          id === input
            ? `import { createParley } from '@parley/client'; globalThis.createParley = createParley`
            : undefined,
      },
    ],
  })) as Rolldown.RolldownOutput
  const bytes = output.reduce(
    (sum, each) => sum + ('code' in each ? gzipSync(each.code, { level: 9 }).length : 0),
    0,
  )
  expect(bytes).toBeGreaterThan(5_000)
  expect(bytes).toBeLessThan(15_000)
})
