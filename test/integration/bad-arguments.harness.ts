import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql'
import { schema } from '../../src/schema.ts'
import type { Answer } from '../support/api.ts'
import { alternatives, soundEntries } from './bad-arguments.cases.ts'

/** A field that takes arguments. */
export type Place = { name: string; root: string; field: GraphQLField<unknown, unknown> }

/** A value somewhere in the arguments of a place; `path` goes through inputs and lists, with 0 for an entry. */
export type Spot = { path: string[]; type: GraphQLNamedInputType; isList: boolean; isRequired: boolean }

const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]

/** Every field of the schema that takes arguments; `root` is empty for those below the roots. */
export const places: Place[] = Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type) && !type.name.startsWith('__'))
  .flatMap((type) =>
    Object.values(isObjectType(type) ? type.getFields() : {}).map((field) => ({
      name: `${type.name}.${field.name}`,
      root: roots.some((root) => root === type) ? type.name.toLowerCase() : '',
      field,
    })),
  )
  .filter(({ field }) => field.args.length > 0)

/** Every value that can be given there: each list as a whole, and each value in it. */
export const spotsOf = ({ field }: Place): Spot[] =>
  field.args.flatMap(({ name, type }) => spotsBelow([name], type))

function spotsBelow(path: string[], type: GraphQLInputType): Spot[] {
  const isRequired = isNonNullType(type)
  const nullable = isRequired ? type.ofType : type
  if (isListType(nullable))
    return [
      { path, type: getNamedType(nullable), isList: true, isRequired },
      ...spotsBelow([...path, '0'], nullable.ofType),
    ]
  if (!isInputObjectType(nullable)) return [{ path, type: getNamedType(nullable), isList: false, isRequired }]
  return Object.values(nullable.getFields()).flatMap((field) => spotsBelow([...path, field.name], field.type))
}

/** The first `{…}` of a place below the roots is where it stands. */
export function operationFor({ name, root, field }: Place, way: string, selection: string): string {
  const declared = field.args.map((arg) => `$${arg.name}: ${variableType(arg)}`).join(', ')
  const given = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(', ')
  const asked = `${field.name}(${given}) ${selection}`
  if (root) return `${root} (${declared}) { ${asked} }`
  if (!way.includes('HERE')) throw new Error(`There is no way to ${name}.`)
  return `query (${declared}) { ${way.replace('HERE', asked)} }`
}

/** A default stays out of reach of variables that are left out only where these say so, too. */
const variableType = ({ type, defaultValue }: GraphQLArgument) =>
  isNonNullType(type) && defaultValue !== undefined ? String(type.ofType) : String(type)

/** What is selected of the answer; mutations tell of a wrong value in it, where their result can. */
export function selectionOf({ root, field }: Place): string {
  const type = getNamedType(field.type)
  const tells = isUnionType(type) && type.getTypes().some(({ name }) => name === 'ValidationError')
  const faults = tells ? ' ... on ValidationError { fields { path } }' : ''
  return root === 'mutation' ? `{ __typename ... on Error { code message }${faults} }` : '{ __typename }'
}

const deep = (levels: number): object => (levels === 1 ? { end: 1 } : { in: deep(levels - 1) })
const megabyte = 'x'.repeat(1_000_000)
/** Twice of what the longest message may have. */
const tooLong = 'x'.repeat(20_001)
const unstorable = ['a\0b', '\ud800']
const manyKeys = Object.fromEntries(Array.from({ length: 8_000 }, (_, index) => [`key${index}`, 1]))
const wrongJson = [
  { text: megabyte },
  manyKeys,
  deep(100),
  ...unstorable.map((text) => ({ list: [{ [text]: text }] })),
]

/** Values that nothing of this type takes. */
const wrongOf: Record<string, unknown[]> = {
  String: [tooLong, ...unstorable, 7],
  JSON: wrongJson,
  JSONObject: [...wrongJson, [1], 'text'],
  Int: [-1, 2 ** 31 - 1, 1.5, '1'],
  NonNegativeInt: [-1, 1.5, 1e21, '1', [1]],
  Decimal: ['-1', 'much', '1e400', 'Infinity', ''],
  Cursor: ['garbage', '', 7, 'A'.repeat(100_000)],
  DateTime: ['yesterday', '0000-01-01T00:00:00Z', '2026-02-30T00:00:00Z', 'Infinity', {}],
  Boolean: ['yes', 1],
}

/** `anId` is of a type that nothing but `node` takes. Of a list that is too long, the entries may be sound or not. */
export function wrongValues({ type, isList, isRequired, path }: Spot, anId: string): unknown[] {
  const name = path.at(-1) ?? ''
  const none = isRequired ? [[]] : []
  if (isList) return [...none, Array(1_001).fill(soundEntries[type.name] ?? anId), Array(2_000).fill('')]
  if (isEnumType(type)) return ['NONSENSE', '', 1]
  if (type.name === 'ID') return ['garbage', '', anId, 7]
  if (name === 'first' || name === 'last') return [-1, 0, 10_000, 1.5, '1']
  const values = wrongOf[type.name]
  if (!values) throw new Error(`No wrong value is known of ${type.name}.`)
  return type.name === 'String' && isRequired ? [...values, '', ' \n '] : values
}

const isAtOrIn = (path: string, dotted: string) => path === dotted || path.startsWith(`${dotted}.`)

/** Whether it says that the value at this path is wrong, whoever found out. */
export function isBlamed(answer: Answer, { root, field }: Place, path: readonly string[]): boolean {
  const dotted = (root === 'mutation' ? path.slice(1) : path).join('.')
  const { code, fields = [] } = answer.data?.[field.name] ?? {}
  if (code)
    return code === 'BAD_USER_INPUT' && fields.some(({ path }: { path: string }) => isAtOrIn(path, dotted))
  const place = path.join('.').replace(/\.(\d+)/g, '[$1]')
  const blames = (message: string) =>
    message.startsWith(`${dotted}: `) ||
    (message.startsWith(`Variable "$${path[0]}" got invalid value`) &&
      [`at "${place}"`, `at "${place}[`].some((at) => path.length === 1 || message.includes(at)))
  const errors = answer.errors ?? []
  return errors.some(({ message, extensions }) => extensions.code === 'BAD_USER_INPUT' && blames(message))
}

/** These arguments with a value at a path; each input on the way begins as what is sound of its type. */
export function withValue(
  place: Place,
  args: object,
  path: readonly string[],
  value: unknown,
): Record<string, unknown> {
  const [first = '', ...rest] = path
  const arg = place.field.args.find(({ name }) => name === first)
  if (!arg) throw new Error(`${place.name} has no argument ${first}.`)
  return { ...args, [first]: put((args as Record<string, unknown>)[first], arg.type, rest, value) }
}

function put(
  given: unknown,
  type: GraphQLInputType,
  [key, ...rest]: readonly string[],
  value: unknown,
): unknown {
  if (key === undefined) return value
  const nullable = isNonNullType(type) ? type.ofType : type
  if (isListType(nullable)) return [put((given as unknown[] | undefined)?.[0], nullable.ofType, rest, value)]
  if (!isInputObjectType(nullable)) throw new Error(`${nullable} has no ${key}.`)
  const field = nullable.getFields()[key]
  if (!field) throw new Error(`${nullable} has no ${key}.`)
  const held = { ...(given ?? (soundEntries[nullable.name] as object | undefined)) } as Record<
    string,
    unknown
  >
  for (const others of alternatives)
    if (others.includes(key)) for (const other of others) if (other !== key) delete held[other]
  return { ...held, [key]: put(held[key], field.type, rest, value) }
}
