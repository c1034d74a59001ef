import { readFile } from 'node:fs/promises'
import {
  type GraphQLArgument,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql'
import { expect, test } from 'vitest'
import { schema } from '../../src/schema.ts'

type Described = [name: string, description: string | null | undefined]

const ofArgument =
  (owner: string) =>
  ({ name, description }: GraphQLArgument): Described => [`${owner}(${name})`, description]

function describedIn(type: GraphQLNamedType): Described[] {
  const own: Described = [type.name, type.description]
  if (isObjectType(type) || isInterfaceType(type))
    return [
      own,
      ...Object.values(type.getFields()).flatMap(({ name, description, args }): Described[] => [
        [`${type}.${name}`, description],
        ...args.map(ofArgument(`${type}.${name}`)),
      ]),
    ]
  if (isInputObjectType(type))
    return [
      own,
      ...Object.values(type.getFields()).map(
        (field): Described => [`${type}.${field.name}`, field.description],
      ),
    ]
  if (isEnumType(type))
    return [own, ...type.getValues().map((value): Described => [`${type}.${value.name}`, value.description])]
  return [own]
}

const described = [
  ...Object.values(schema.getTypeMap())
    .filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type))
    .flatMap(describedIn),
  ...schema
    .getDirectives()
    .flatMap(({ name, description, args }): Described[] => [
      [`@${name}`, description],
      ...args.map(ofArgument(`@${name}`)),
    ]),
]

test('everything in the schema has a description that is a sentence', () => {
  expect(described.length).toBeGreaterThan(300)
  const bare = described.filter(([, description]) => !/^\S.*[.)`]$/s.test(description ?? ''))
  expect(bare).toEqual([])
})

test('no description leaves the ways of writing of the others', () => {
  const odd = described.filter(([, description]) => / {2}|\bTODO\b|\.\.$|^[a-z]/.test(description ?? ''))
  expect(odd).toEqual([])
})

test('schema.graphql is what the code says', async () => {
  const written = await readFile(new URL('../../schema.graphql', import.meta.url), 'utf8')
  expect(written).toBe(`${printSchema(lexicographicSortSchema(schema))}\n`)
})
