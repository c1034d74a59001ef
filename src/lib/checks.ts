import { z } from 'zod'
import { ValidationError } from './errors.ts'

/** Checks of input values that every feature shares. Messages say the value's fault and what is allowed. */

/** Throws a `ValidationError` that lists the faults; gives the value as the schema reads it. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ValidationError(
    parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })),
  )
}

/** Whether PostgreSQL can hold the text. */
export const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0')
const notStorable = 'has a NUL character or half of a surrogate pair, which cannot be stored'

/** The value without what PostgreSQL cannot store, for what a model wrote rather than a person. */
export function storable<Value>(value: Value): Value {
  if (typeof value === 'string')
    return isStorable(value) ? value : (value.replaceAll('\0', '').toWellFormed() as Value)
  if (Array.isArray(value)) return value.map(storable) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [storable(key), storable(inner)]),
  ) as Value
}

/** Years that both JSON and PostgreSQL write with four digits. */
export const isStorableDate = (date: Date) =>
  date.getTime() >= Date.parse('0001-01-01T00:00:00Z') &&
  date.getTime() < Date.parse('+010000-01-01T00:00:00Z')

/** Text of `min` to `max` characters (code points, as zod counts them); whitespace alone counts as empty where `min` is above 0. */
export const text = ({ min = 0, max }: { min?: number; max: number }) =>
  z
    .string()
    .max(max, {
      error: ({ input }) => `has ${[...String(input)].length} characters; at most ${max} are allowed`,
    })
    .refine((value) => min === 0 || value.trim().length >= min, 'is empty; some text is needed')
    .refine(isStorable, notStorable)

/** A key that a client makes up to tell a repeated request from a new one. */
export const clientKey = text({ min: 1, max: 255 })

/** `provider:name`; whether it can be used is another question. */
export const modelId = text({ max: 200 }).regex(
  /^[a-z][a-z0-9-]*:\S+$/,
  'is not a model id; allowed is provider:name, such as demo:chat',
)

const maxDepth = 20

/** Any JSON value but null, of at most `maxBytes` as UTF-8 text and 20 levels. */
export const jsonValue = ({ maxBytes }: { maxBytes: number }) =>
  z.custom<unknown>().superRefine((value, context) => {
    if (value === null || value === undefined) return context.addIssue('is null; some value is needed')
    for (const fault of jsonFaults(value, maxBytes)) context.addIssue(fault)
  })

/** A JSON object of at most `maxBytes` as UTF-8 text and 20 levels. */
export const jsonObject = ({ maxBytes }: { maxBytes: number }) =>
  z.custom<Record<string, unknown>>().superRefine((value, context) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return context.addIssue('is not an object; allowed is a JSON object')
    for (const fault of jsonFaults(value, maxBytes)) context.addIssue(fault)
  })

function jsonFaults(value: unknown, maxBytes: number): string[] {
  if (isDeeperThan(value, maxDepth)) return [`is nested too deeply; at most ${maxDepth} levels are allowed`]
  const bytes = Buffer.byteLength(JSON.stringify(value))
  if (bytes > maxBytes) return [`has ${bytes} bytes as JSON; at most ${maxBytes} are allowed`]
  return isStorableJson(value) ? [] : [notStorable]
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1))
}

/** Looks at the texts themselves: as JSON, the escape of a fault and a text that spells that escape look alike. */
function isStorableJson(value: unknown): boolean {
  if (typeof value === 'string') return isStorable(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, inner]) => isStorable(key) && isStorableJson(inner))
}

/** The first names, so that what is told of them stays short. */
export const firstNames = (names: readonly string[]): string =>
  names.length > 20 ? `${names.slice(0, 20).join(', ')} and ${names.length - 20} more` : names.join(', ')

/** Model parameters; see `ModelParameters` for what they mean. */
export const modelParameters = z.strictObject(
  {
    temperature: z.number('is not a number').min(0, 'is below 0').max(2, 'is above 2').optional(),
    topP: z.number('is not a number').min(0, 'is below 0').max(1, 'is above 1').optional(),
    topK: z.int('is not a whole number').min(1, 'is below 1').max(1_000, 'is above 1000').optional(),
    maxOutputTokens: z
      .int('is not a whole number')
      .min(1, 'is below 1')
      .max(1_000_000, 'is above 1000000')
      .optional(),
    // A line break is the most common of them.
    stop: z
      .array(text({ max: 100 }).min(1, 'is empty; some text is needed'))
      .max(8, 'has more than 8 entries')
      .optional(),
    seed: z.int('is not a whole number').optional(),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `has unknown parameters (${firstNames(issue.keys)}); allowed are temperature, topP, topK, maxOutputTokens, stop, seed`
        : undefined,
  },
)
