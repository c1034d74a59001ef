import type { IncomingMessage } from 'node:http'
import { getOperationAST, Kind, parse } from 'graphql'
import type { Context } from '../graphql/context.ts'
import type { ErrorCode } from '../lib/errors.ts'
import { readText } from './body.ts'
import type { OperationOrigin } from './yoga.ts'

export type Refusal = { status: number; code: ErrorCode; message: string }

/**
 * Takes the few bodies that may be larger than others: documents, from callers who are signed in, a few at a time. All
 * others are refused; without a valid token, before a byte is read.
 */
export type LargeBodies = {
  /** Whether the request announces a body above the usual limit. */
  isLarge(request: IncomingMessage): boolean
  read(request: IncomingMessage, origin: OperationOrigin): Promise<{ body: string } | Refusal>
}

type Options = {
  bodyMaxBytes: number
  documentMaxBytes: number
  contextOf: (origin: OperationOrigin) => Promise<Context>
}

const documentFields: ReadonlySet<string> = new Set(['createDocument', 'updateDocument'])
/** As everywhere; what is long belongs into variables. */
const documentTextMaxLength = 15_000
/** Bodies that are held in memory at a time, of all callers and of one. */
const atOnce = { all: 6, perUser: 2 }

export function createLargeBodies({ bodyMaxBytes, documentMaxBytes, contextOf }: Options): LargeBodies {
  // As base64 it takes a third more; the rest of the request may be as long as any other.
  const maxBytes = Math.ceil(documentMaxBytes / 3) * 4 + bodyMaxBytes
  const readingBy = new Map<string, number>()
  const sum = () => [...readingBy.values()].reduce((all, count) => all + count, 0)

  const bytesOf = (request: IncomingMessage) => Number(request.headers['content-length'])

  const tooLarge = (request: IncomingMessage): Refusal => ({
    status: 413,
    code: 'BAD_USER_INPUT',
    message:
      `The body has ${bytesOf(request)} bytes; at most ${bodyMaxBytes} are allowed (HTTP_BODY_MAX_BYTES), ` +
      `or ${maxBytes} for createDocument and updateDocument with a valid token (DOCUMENT_MAX_BYTES).`,
  })

  async function userOf(origin: OperationOrigin): Promise<string | null> {
    try {
      return (await contextOf(origin)).viewer?.userId ?? null
    } catch {
      return null
    }
  }

  return {
    isLarge: (request) => request.method === 'POST' && bytesOf(request) > bodyMaxBytes,
    async read(request, origin) {
      if (!(bytesOf(request) <= maxBytes)) return tooLarge(request)
      const userId = await userOf(origin)
      if (userId === null) return tooLarge(request)
      const reading = readingBy.get(userId) ?? 0
      if (reading >= atOnce.perUser || sum() >= atOnce.all)
        return {
          status: 429,
          code: 'RATE_LIMITED',
          message: 'Too many documents are being sent at this moment; try again in some seconds.',
        }
      readingBy.set(userId, reading + 1)
      try {
        const body = await readText(request)
        return body !== null && storesDocument(body) ? { body } : tooLarge(request)
      } finally {
        const left = (readingBy.get(userId) ?? 1) - 1
        if (left > 0) readingBy.set(userId, left)
        else readingBy.delete(userId)
      }
    },
  }
}

/** Whether the operation is a mutation of nothing but these fields. */
function storesDocument(body: string): boolean {
  try {
    const { query, operationName } = JSON.parse(body) as Record<string, unknown>
    if (typeof query !== 'string' || query.length > documentTextMaxLength) return false
    const operation = getOperationAST(
      parse(query),
      typeof operationName === 'string' ? operationName : undefined,
    )
    const selections = operation?.operation === 'mutation' ? operation.selectionSet.selections : []
    return (
      selections.length > 0 &&
      selections.every(({ kind, ...field }) => kind === Kind.FIELD && documentFields.has(nameOf(field)))
    )
  } catch {
    return false
  }
}

const nameOf = (field: object) => ('name' in field ? (field.name as { value: string }).value : '')
