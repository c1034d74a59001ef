import type { IncomingMessage } from 'node:http'
import { invalid } from '../lib/errors.ts'

/** What a request asks, as far as it has the right form. */
export type OperationRequest = {
  query: string
  operationName?: string | null
  variables?: Record<string, unknown> | null
  /** Whatever they are: nothing here knows any. */
  extensions?: unknown
}

/**
 * The operation of a body, or of the address where there is none; null for what is none, which Yoga says best. Throws a
 * `ValidationError` for a parameter of the address that should be JSON, which Yoga takes for a fault of its own.
 */
export function readOperation(request: IncomingMessage, body: string | null): OperationRequest | null {
  return operationFrom(body === null ? parametersOf(request.url ?? '') : parse(body))
}

/** An empty parameter counts as none. */
function parametersOf(url: string): Record<string, unknown> {
  const { searchParams } = new URL(url, 'http://localhost')
  const json = (name: string): unknown => {
    const text = searchParams.get(name)
    if (!text) return undefined
    const value = parse(text)
    if (value === undefined) throw invalid(name, 'is not JSON')
    return value
  }
  return {
    query: searchParams.get('query'),
    operationName: searchParams.get('operationName') || null,
    variables: json('variables'),
    extensions: json('extensions'),
  }
}

function operationFrom(given: unknown): OperationRequest | null {
  if (typeof given !== 'object' || given === null) return null
  const { query, operationName = null, variables = null, extensions } = given as Record<string, unknown>
  if (typeof query !== 'string' || (operationName !== null && typeof operationName !== 'string')) return null
  if (typeof variables !== 'object' || Array.isArray(variables)) return null
  return { query, operationName, variables: variables as Record<string, unknown> | null, extensions }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
