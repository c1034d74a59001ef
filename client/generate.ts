/**
 * Makes typed operations out of schema.graphql and what `client/src` and `web/src` ask of it: every `.graphql` file
 * and every call of graphql(`…`). Each folder gets its own `generated/`; an operation that the schema does not know
 * is an error that names the file.
 */

import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { preset } from '@graphql-codegen/client-preset'
import { codegen } from '@graphql-codegen/core'
import { gqlPluckFromCodeString } from '@graphql-tools/graphql-tag-pluck'
import { buildASTSchema, isAbstractType, parse } from 'graphql'

const root = join(import.meta.dirname, '..')

const config = {
  scalars: {
    ID: 'string',
    Cursor: 'string',
    DateTime: 'string',
    Decimal: 'string',
    JSON: 'unknown',
    JSONObject: 'Record<string, unknown>',
    NonNegativeInt: 'number',
    PositiveInt: 'number',
  },
  strictScalars: true,
  useTypeImports: true,
  enumType: 'string-literal',
  importExtension: '.ts' as const,
}

const operationsIn = async (file: string) => {
  const text = await readFile(file, 'utf8')
  if (file.endsWith('.graphql')) return [text]
  if (!text.includes('graphql(')) return []
  const sources = await gqlPluckFromCodeString(file, text, {
    globalGqlIdentifierName: 'graphql',
    // The types know an operation by its text, to the letter.
    skipIndent: true,
  })
  return sources.map(({ body }) => body)
}

const documentsOf = async (folder: string) => {
  const documents = []
  for await (const file of glob(`${folder}/**/*.{graphql,ts,tsx}`, { exclude: ['**/generated/**'] })) {
    for (const rawSDL of await operationsIn(file)) {
      documents.push({ location: file, document: parse(rawSDL), rawSDL })
    }
  }
  return documents.sort((one, other) => (one.location < other.location ? -1 : 1))
}

const generate = async (folder: string) => {
  const schema = parse(await readFile(join(root, 'schema.graphql'), 'utf8'))
  const target = join(root, folder, 'generated/')
  const files = await preset.buildGeneratesSection({
    baseOutputDir: target,
    schema,
    schemaAst: buildASTSchema(schema),
    documents: await documentsOf(join(root, folder)),
    config,
    presetConfig: { fragmentMasking: false, skipIndexFile: true },
    plugins: [],
    pluginMap: {},
  })
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true })
  await Promise.all(files.map(async (file) => writeFile(file.filename, await codegen(file))))
}

/** Apollo's cache must know which types stand behind an interface or a union. */
const writePossibleTypes = async (folder: string) => {
  const schema = buildASTSchema(parse(await readFile(join(root, 'schema.graphql'), 'utf8')))
  const abstractTypes = Object.values(schema.getTypeMap()).filter(isAbstractType)
  const possibleTypes = Object.fromEntries(
    abstractTypes.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]),
  )
  const text = `export const possibleTypes: Record<string, string[]> = ${JSON.stringify(possibleTypes, null, 2)}\n`
  await writeFile(join(root, folder, 'generated/possible-types.ts'), text)
}

await Promise.all(['client/src', 'web/src'].map(generate))
await writePossibleTypes('client/src')
