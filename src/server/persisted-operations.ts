import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ConfigError } from '../config.ts'
import { ForbiddenError } from '../lib/errors.ts'

/** The operations that an installation takes, and no others. */
export type PersistedOperations = {
  /**
   * The document that a request means, by the id in `extensions.persistedQuery.sha256Hash` or by its own text; throws a
   * `ForbiddenError` where it is not on the list.
   */
  resolve(request: { query?: unknown; extensions?: unknown }): string
  /** The same for the body of a request: as a body with the document in it. */
  resolveBody(body: string): string
}

const setting = 'PERSISTED_OPERATIONS_FILE'
const usable = 'allowed is a JSON object of documents by their ids, or a manifest of Apollo'

/** What `generate-persisted-query-manifest` writes. */
const manifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  operations: z.array(z.object({ id: z.string(), body: z.string() })),
})
const extensions = z.object({ persistedQuery: z.object({ sha256Hash: z.string() }) })

/** Null where no file is set. Throws a `ConfigError` where it cannot be used. */
export async function openPersistedOperations(file: string | undefined): Promise<PersistedOperations | null> {
  if (file === undefined) return null
  const byId = await read(file)
  const documents = new Set(byId.values())

  function resolve({ query, extensions: given }: { query?: unknown; extensions?: unknown }): string {
    const id = extensions.safeParse(given).data?.persistedQuery.sha256Hash
    const document = id === undefined ? query : byId.get(id)
    if (typeof document === 'string' && documents.has(document) && (!query || query === document))
      return document
    throw new ForbiddenError(`The operation is not among those that this server takes (${setting}).`)
  }

  return {
    resolve,
    resolveBody(body) {
      const request = parse(body)
      // What is no request at all is told so by whoever answers it.
      if (typeof request !== 'object' || request === null || Array.isArray(request)) return body
      const { operationName, variables } = request as Record<string, unknown>
      return JSON.stringify({ query: resolve(request), operationName, variables })
    },
  }
}

async function read(file: string): Promise<Map<string, string>> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new ConfigError([`${setting}: cannot be read (${cause.message})`])
  })
  const content = parse(text)
  const listed = manifest.safeParse(content).data?.operations.map(({ id, body }) => [id, body] as const)
  const entries = listed ?? Object.entries(z.record(z.string(), z.string()).safeParse(content).data ?? {})
  if (entries.length === 0) throw new ConfigError([`${setting}: ${file} names no operation; ${usable}`])
  return new Map(entries)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
