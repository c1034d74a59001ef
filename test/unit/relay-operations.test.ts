import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, print, validate } from 'graphql'
import { expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'

const folder = join(import.meta.dirname, '../relay')

it('are what Relay’s compiler makes of their sources, and what the schema knows', async () => {
  const source = await readFile(join(folder, 'operations.ts'), 'utf8')
  const texts = [...source.matchAll(/graphql`([^`]*)`/g)].map(([, text = '']) => print(parse(text)))
  const names = await readdir(join(folder, '__generated__'))
  const artifacts = await Promise.all(
    names.map(async (name) => (await import(join(folder, '__generated__', name))).default),
  )
  // As the compiler notes what it has read: another text wants to be compiled anew.
  const hashes = texts.map((text) => createHash('md5').update(text).digest('hex'))
  expect(artifacts.map(({ hash }) => hash).sort()).toEqual(hashes.sort())
  for (const { params } of artifacts.filter(({ params }) => params))
    expect(validate(schema, parse(params.text))).toEqual([])
})
