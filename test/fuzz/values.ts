import { type GraphQLInputType, isEnumType, isInputObjectType, isListType, isNonNullType } from 'graphql'
import type { Random } from './random.ts'

const texts = [
  '',
  ' ',
  'Hello',
  'a\0b',
  '\ud800',
  '\u202e\ufeff',
  "'; --",
  '%_\\',
  '{"a":1}',
  '__proto__',
  'constructor',
  'demo:chat',
  'nobody:none',
  '2026-01-01T00:00:00Z',
  '0000-00-00',
  'primary',
  'x'.repeat(300),
  'e\u0301'.repeat(6_000),
  '../../etc/passwd',
  'data:text/plain;base64,SGVsbG8=',
]
const numbers = [
  0,
  1,
  -1,
  2,
  5,
  100,
  101,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  1.5,
  1e300,
  Number.MAX_SAFE_INTEGER,
]

/** Any JSON at all. */
export function anything(random: Random, depth = 3): unknown {
  const kind = random.below(depth > 0 ? 8 : 5)
  if (kind === 0) return null
  if (kind === 1) return random.chance(0.5)
  if (kind === 2) return random.pick(numbers)
  if (kind < 5) return random.pick(texts)
  if (kind === 5) return Array.from({ length: random.below(4) }, () => anything(random, depth - 1))
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [random.pick(texts), anything(random, depth - 1)]),
  )
}

const smallNumbers = [0, 1, 2, 5, 20]
const stamps = ['2026-01-01T00:00:00Z', '2026-06-30T12:00:00.123Z', '2100-01-01T00:00:00Z']

/** `ids` are those that mean something to the server; `name` says what a value is for, and so of which type its id is. */
type Place = { ids: readonly string[]; name: string; depth?: number }

/** A value for an input, mostly of the right type. */
export function valueFor(type: GraphQLInputType, random: Random, place: Place, isNullable = true): unknown {
  if (random.chance(0.01)) return anything(random)
  if (isNonNullType(type)) return valueFor(type.ofType, random, place, false)
  if (isNullable && random.chance(0.08)) return null
  const { ids, name, depth = 4 } = place
  if (isListType(type))
    return Array.from({ length: random.below(4) }, () =>
      valueFor(type.ofType, random, { ids, name, depth: depth - 1 }),
    )
  if (isEnumType(type)) return random.pick(type.getValues()).name
  if (isInputObjectType(type))
    return Object.fromEntries(
      Object.values(type.getFields())
        .filter((field) => isNonNullType(field.type) || (depth > 0 && random.chance(0.35)))
        .map((field) => [
          field.name,
          valueFor(field.type, random, { ids, name: field.name, depth: depth - 1 }),
        ]),
    )
  switch (type.name) {
    case 'Int':
    case 'PositiveInt':
    case 'NonNegativeInt':
    case 'Float':
      return random.pick(random.chance(0.8) ? smallNumbers : numbers)
    case 'Boolean':
      return random.chance(0.5)
    case 'ID':
      return random.chance(0.9) ? random.pick(fitting(ids, name, random)) : random.pick(texts)
    case 'JSON':
      return anything(random)
    case 'JSONObject':
      return random.chance(0.9) ? { [random.pick(texts)]: anything(random) } : anything(random)
    case 'DateTime':
      return random.chance(0.85) ? random.pick(stamps) : random.pick(['2026-13-01T00:00:00Z', 'yesterday'])
    default:
      return random.pick(texts)
  }
}

/** Mostly those of the type that is named: `sessionId`, or `id` of the field `session`. */
function fitting(ids: readonly string[], name: string, random: Random): readonly string[] {
  const named = ids.filter((id) => name.toLowerCase().includes(id.split('_')[0] as string))
  return named.length > 0 && random.chance(0.85) ? named : ids
}
