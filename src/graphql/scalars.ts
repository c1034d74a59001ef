import { GraphQLError, GraphQLScalarType } from 'graphql'
import {
  DateTimeResolver,
  JSONObjectResolver,
  JSONResolver,
  NonNegativeIntResolver,
  PositiveIntResolver,
} from 'graphql-scalars'
import { isStorableDate } from '../lib/checks.ts'
import { builder } from './builder.ts'

/** The offset of a zone can push a stamp of four digits out of the years that can be stored. */
const storable = (date: Date): Date => {
  if (isStorableDate(date)) return date
  throw new GraphQLError('DateTime is out of range; allowed are the years 1 to 9999')
}

builder.addScalarType(
  'DateTime',
  new GraphQLScalarType<Date, Date | string>({
    ...DateTimeResolver.toConfig(),
    // As text: the date that the library gives would be asked for its text in the midst of the serialisation.
    serialize: (value) => (value instanceof Date ? value.toISOString() : DateTimeResolver.serialize(value)),
    parseValue: (value) => storable(DateTimeResolver.parseValue(value)),
    parseLiteral: (node) => storable(DateTimeResolver.parseLiteral(node)),
  }),
)
builder.addScalarType('JSON', JSONResolver)
builder.addScalarType('JSONObject', JSONObjectResolver)

/** The library reads what it is given as text, up to the first character that is no digit: 1e21 would be 1. */
const wholeOnly = (scalar: GraphQLScalarType<number, number>) =>
  new GraphQLScalarType<number, number>({
    ...scalar.toConfig(),
    parseValue: (value) => {
      if (!Number.isSafeInteger(value)) throw new GraphQLError(`${scalar.name} is a whole number below 2^53`)
      return scalar.parseValue(value)
    },
  })
builder.addScalarType('PositiveInt', wholeOnly(PositiveIntResolver))
builder.addScalarType('NonNegativeInt', wholeOnly(NonNegativeIntResolver))

/** Without an exponent and without zeros at its end, whether Prisma read the number or PostgreSQL wrote it. */
function decimalText(value: { toString(): string; toFixed?(): string }): string {
  const text = value.toFixed?.() ?? value.toString()
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

builder.addScalarType(
  'Decimal',
  new GraphQLScalarType<{ toString(): string }, string>({
    name: 'Decimal',
    description: 'A decimal number as text, such as an amount of US dollars: never rounded by a float.',
    serialize: (value) => decimalText(value as { toString(): string }),
  }),
)

builder.addScalarType(
  'Cursor',
  new GraphQLScalarType<string, string>({
    name: 'Cursor',
    description:
      'A place in a list or a live feed. Opaque: take it from a result and hand it back unchanged.',
  }),
)
