import type { z } from 'zod'
import { ValidationError } from '../../lib/errors.ts'
import type { UncheckedMessage } from './document.ts'

/** What a reader of another format has found in one conversation. */
export type Found = {
  title: string | null
  createdAt: string | null
  systemPrompt: string | null
  messages: UncheckedMessage[]
  /** Where in the file the message at this index comes from. */
  pathOf(index: number): string
}

/** Reads a value; throws a `ValidationError` that names the first faults by their place below `at`. */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at: string | ((path: readonly PropertyKey[]) => string),
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const placeOf = typeof at === 'string' ? (path: readonly PropertyKey[]) => [at, ...path].join('.') : at
  throw new ValidationError(
    parsed.error.issues.map(({ path, message }) => ({ path: placeOf(path), message })),
  )
}

/** Tools are called with an object, as JSON, or with plain text, such as code to run. */
export function argumentsOf(value: unknown): Record<string, unknown> {
  const values = typeof value === 'string' ? parsedOr(value) : value
  return typeof values === 'object' && values !== null && !Array.isArray(values)
    ? { ...values }
    : { input: value ?? null }
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
