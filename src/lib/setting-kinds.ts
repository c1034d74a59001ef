import { z } from 'zod'

/** What the value of a setting may be, and the words that say so. Units stand in the setting's name. */
export const whole = (fallback: number, min: number, max = Number.MAX_SAFE_INTEGER) => {
  const allowed =
    max === Number.MAX_SAFE_INTEGER
      ? `a whole number of at least ${min}`
      : `a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,15}$/, `is not a whole number; allowed is ${allowed}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `is out of range; allowed is ${allowed}`)
    .default(fallback)
}

/** How many in a unit of time; 0 is no limit. */
export const pace = (fallback: number) =>
  z
    .string()
    .regex(/^\d{1,9}(\.\d{1,6})?$/, 'is not a pace; allowed is a number of at least 0, such as 20 or 0.5')
    .transform(Number)
    .default(fallback)

export const flag = z
  .enum(['true', 'false'], 'is not a switch; allowed is true or false')
  .transform((value) => value === 'true')

/** A name of a list. */
export const oneOf = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  z.enum(values, `is unknown; allowed is one of ${values.join(', ')}`).default(fallback as never)

export const address = (protocols: readonly string[]) =>
  z.string().refine(
    (value) => {
      const protocol = URL.parse(value)?.protocol.slice(0, -1)
      return protocol !== undefined && protocols.includes(protocol)
    },
    `is not an address; allowed is a URL that begins with ${protocols.map((p) => `${p}://`).join(' or ')}`,
  )

export const list = z.string().transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)

/** Each by itself: a pattern for all would let any page act for whoever is signed in. */
export const origins = list.refine(
  (values) => values.every((value) => URL.parse(value)?.origin === value),
  'holds what is no origin; allowed are such as https://chat.example.org, without a path, separated by commas',
)

export const modelId = z
  .string()
  .regex(/^[a-z][a-z0-9-]*:\S+$/, 'is not a model id; allowed is provider:name, for example demo:chat')
