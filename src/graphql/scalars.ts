import { GraphQLScalarType } from 'graphql'
import {
  DateTimeResolver,
  JSONObjectResolver,
  JSONResolver,
  NonNegativeIntResolver,
  PositiveIntResolver,
} from 'graphql-scalars'
import { builder } from './builder.ts'

builder.addScalarType('DateTime', DateTimeResolver)
builder.addScalarType('JSON', JSONResolver)
builder.addScalarType('JSONObject', JSONObjectResolver)
builder.addScalarType('PositiveInt', PositiveIntResolver)
builder.addScalarType('NonNegativeInt', NonNegativeIntResolver)

builder.addScalarType(
  'Decimal',
  new GraphQLScalarType<{ toString(): string }, string>({
    name: 'Decimal',
    description: 'A decimal number as text, such as an amount of US dollars: never rounded by a float.',
    serialize: (value) => String(value),
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
