import type { IncomingMessage, ServerResponse } from 'node:http'
import { getOperationAST, Kind, parse } from 'graphql'
import type { ErrorCode } from '../lib/errors.ts'
import type { Caller } from './admission.ts'
import { readText } from './body.ts'
import { createByteRoom, releaseAfter } from './byte-room.ts'

export type Refusal = { status: number; code: ErrorCode; message: string }

export type Body = { text: string }

/**
 * Reads the bodies of requests. A few may be larger than others: documents, from callers who are signed in. All other
 * large ones are refused; without a valid token, before a byte is read.
 */
export type Bodies = {
  /** Fails with a `RateLimitedError` where too much is held in memory already. */
  read(request: IncomingMessage, response: ServerResponse, caller: Caller | null): Promise<Body | Refusal>
}

type Options = {
  bodyMaxBytes: number
  /** Of a body that brings a document. */
  largeBodyMaxBytes: number
  /** Of all bodies that are in memory at a time. */
  heldBodiesMaxBytes: number
  /** Characters of an operation's text. */
  operationMaxLength: number
  addressOf: (request: IncomingMessage) => string
}

const documentFields: ReadonlySet<string> = new Set(['createDocument', 'updateDocument'])

export function createBodies(options: Options): Bodies {
  const { bodyMaxBytes, largeBodyMaxBytes, operationMaxLength, addressOf } = options
  const room = createByteRoom({
    maxBytes: options.heldBodiesMaxBytes,
    what: 'requests',
    setting: 'HTTP_BODIES_MAX_BYTES',
  })

  const tooLarge = (bytes: number): Refusal => ({
    status: 413,
    code: 'BAD_USER_INPUT',
    message:
      `The body has ${bytes} bytes; at most ${bodyMaxBytes} are allowed (HTTP_BODY_MAX_BYTES), ` +
      `or ${largeBodyMaxBytes} for createDocument and updateDocument with a valid token (DOCUMENT_MAX_BYTES).`,
  })

  return {
    async read(request, response, caller) {
      const bytes = Number(request.headers['content-length'])
      const isLarge = bytes > bodyMaxBytes
      if (isLarge && !(caller && bytes <= largeBodyMaxBytes)) return tooLarge(bytes)
      releaseAfter(
        response,
        room.take(bytes, caller, () => addressOf(request)),
      )
      const text = await readText(request)
      if (isLarge && (text === null || !storesDocument(text, operationMaxLength))) return tooLarge(bytes)
      if (text === null) return { status: 400, code: 'BAD_USER_INPUT', message: 'The body is not UTF-8.' }
      return { text }
    },
  }
}

/** Whether the operation is a mutation of nothing but these fields. */
function storesDocument(body: string, operationMaxLength: number): boolean {
  try {
    const { query, operationName } = JSON.parse(body) as Record<string, unknown>
    if (typeof query !== 'string' || query.length > operationMaxLength) return false
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
