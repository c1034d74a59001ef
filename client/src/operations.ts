import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { type DocumentNode, print } from 'graphql'

/** A GraphQL operation: its text, or a document that knows the types of its data and variables. */
export type Operation<Data, Variables> = string | TypedDocumentNode<Data, Variables>

/** Variables may be left out where all of them can. */
export type WithVariables<Variables, Rest extends unknown[]> =
  Record<string, never> extends Variables ? [variables?: Variables, ...Rest] : [variables: Variables, ...Rest]

/** A mutation that takes one `input`. */
export type Mutation<Data, Input> = Operation<Data, { input: Input }>

const texts = new WeakMap<DocumentNode, string>()

export function textOf(operation: string | DocumentNode): string {
  if (typeof operation === 'string') return operation
  const text = texts.get(operation) ?? print(operation)
  texts.set(operation, text)
  return text
}

/**
 * Whether the server can be asked twice without harm: a query can, and a mutation with a `clientId` in its input, by
 * which the server knows it again.
 */
export function isRepeatable(operation: string | DocumentNode, variables: object | undefined): boolean {
  if (!isMutation(operation)) return true
  const { input } = (variables ?? {}) as { input?: { clientId?: unknown } }
  return typeof input?.clientId === 'string'
}

function isMutation(operation: string | DocumentNode): boolean {
  // Without a parser: a query that has the word is not repeated, which does no harm.
  if (typeof operation === 'string') return /\bmutation\b/.test(operation)
  return operation.definitions.some((each) => 'operation' in each && each.operation === 'mutation')
}

/**
 * A `clientId`, for a mutation of your own that shall have its effect once: 128 random bits. `crypto.randomUUID` is missing
 * on pages that were not loaded over HTTPS.
 */
export const newClientId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  )

/** The input with a key by which the server knows it again. */
export const withClientId = <Input extends { clientId?: string | null | undefined }>(
  input: Input,
): Input => ({
  ...input,
  clientId: input.clientId ?? newClientId(),
})
