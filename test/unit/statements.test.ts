import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

test('every prepared statement has a name of its own', async () => {
  const names: string[] = []
  for await (const file of glob('src/**/*.ts', { cwd: root, exclude: ['src/db/generated/**'] })) {
    const text = await readFile(join(root, file), 'utf8')
    for (const [, name = ''] of text.matchAll(/: Statement = \{\s*name: '([^']+)'/g)) names.push(name)
  }
  expect(names.length).toBeGreaterThan(50)
  const doubles = names.filter((name, index) => names.indexOf(name) !== index)
  expect(doubles).toEqual([])
  // PostgreSQL cuts longer ones, which could make two into one.
  expect(names.filter((name) => name.length > 63)).toEqual([])
})
