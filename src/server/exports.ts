import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { ParleyError, RateLimitedError } from '../lib/errors.ts'
import type { Admission } from './admission.ts'

/** A file that is made while it is sent. */
export type Download = { filename: string; contentType: string; chunks: AsyncIterable<string> }

/**
 * Finds what the last part of a path leads to; fails with a `RateLimitedError` where that cannot be told now, and with
 * another `ParleyError` where it is nothing.
 */
export type OpenDownload = (token: string) => Promise<Download>

/** Answers a request for a download; false for every other path, with nothing sent. */
export type ExportDoor = (request: IncomingMessage, response: ServerResponse) => false | Promise<void>

const pathPattern = /^\/exports\/([\w.-]{1,2000})$/

const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The address is a secret while it lasts, and what it leads to is somebody's text.
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; sandbox",
}

export function createExportDoor(
  open: OpenDownload,
  { request: count, addressOf }: Pick<Admission, 'request' | 'addressOf'>,
): ExportDoor {
  async function answer(token: string, request: IncomingMessage, response: ServerResponse) {
    response.setHeaders(new Headers(headers))
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return sendText(response, 405, 'Only GET and HEAD.\n')
    }
    // What the link claims is proven only by a look into the database.
    count(null, () => addressOf(request))
    const download = await open(token).catch(unlessKnown)
    if (!download)
      return sendText(
        response,
        404,
        'There is no such export, or its link has ended; ask exportSession again.\n',
      )
    response.setHeader('content-type', download.contentType)
    response.setHeader('content-disposition', dispositionOf(download.filename))
    if (request.method === 'HEAD') return void response.end()
    await pipeline(download.chunks, response).catch((error: unknown) => {
      // The reader sees a body that breaks off, whether it left by itself or lost the right to read on.
      response.destroy()
      if (!isReaderGone(error)) unlessKnown(error)
    })
  }

  return (request, response) => {
    const token = pathPattern.exec(request.url ?? '')?.[1]
    return token !== undefined && answer(token, request, response)
  }
}

function unlessKnown(error: unknown): null {
  if (error instanceof ParleyError && !(error instanceof RateLimitedError)) return null
  throw error
}

const isReaderGone = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'

/** RFC 6266: plain ASCII for old clients, the true name for all others. */
function dispositionOf(filename: string): string {
  const plain = filename.replace(/[^\w.-]/g, '_')
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(filename)}`
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}
