import { useApolloClient } from '@apollo/client/react'
import { unwrap } from '@parley/client'
import { parleyOf } from '@parley/client/apollo'
import { useLimits } from '../../limits.ts'
import { bytesInWords } from '../numbers.ts'
import { base64Of, kindOf } from './file.ts'
import { CreateDocument } from './operations.ts'

/** Ten megabytes over a slow line take their time. */
const uploadTimeoutMs = 15 * 60_000

/** Sends a file as a document and gives its id; throws what `faultOf` reads. `onProgress` is told the share that is sent, 0 to 1. */
export function useUploadFile() {
  const parley = parleyOf(useApolloClient())
  const limits = useLimits()

  return async (file: File, onProgress: (share: number) => void): Promise<string> => {
    const kind = kindOf(file)
    if (!kind) throw new Error('It is of no kind that can be read; allowed are PDF, Markdown and plain text.')
    if (limits && file.size > limits.documentMaxBytes)
      throw new Error(
        `It has ${bytesInWords(file.size)}; at most ${bytesInWords(limits.documentMaxBytes)} are allowed.`,
      )
    const input = { title: file.name, mimeType: kind.mimeType, base64: await base64Of(file) }
    const options = { timeoutMs: uploadTimeoutMs, fetch: fetchWithProgress(onProgress) }
    const { createDocument } = await parley.request(CreateDocument, { input }, options)
    return unwrap(createDocument).document.id
  }
}

/** As `fetch`, which tells nothing of how far a request is. */
const fetchWithProgress =
  (onProgress: (share: number) => void): typeof fetch =>
  (url, { method = 'POST', headers, body, signal } = {}) => {
    const request = new XMLHttpRequest()
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0)
    request.onload = () => {
      const type = request.getResponseHeader('content-type') ?? ''
      resolve(
        new Response(request.responseText, { status: request.status, headers: { 'content-type': type } }),
      )
    }
    request.onerror = () => reject(new Error('The connection broke.'))
    signal?.addEventListener('abort', () => {
      request.abort()
      reject(signal.reason)
    })
    request.open(method, String(url))
    for (const [name, value] of new Headers(headers)) request.setRequestHeader(name, value)
    request.send(body as string)
    return promise
  }
