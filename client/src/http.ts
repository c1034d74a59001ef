import { abortable } from './async.ts'
import type { Credentials } from './credentials.ts'
import { errorOf, type GraphqlError, ParleyError } from './errors.ts'

export type Fetch = typeof globalThis.fetch

export type GraphqlRequest = { query: string; variables: object | undefined }

type Options = { url: string; credentials: Credentials; fetch: Fetch }

/**
 * Posts a request with the token and gives the answer, whatever it is. One that the server refused for its token is sent
 * once more with a new one: it was not carried out.
 */
export function createPost({ url, credentials, fetch: ordinary }: Options) {
  const send = async (request: GraphqlRequest, accept: string, signal: AbortSignal, fetch: Fetch) => {
    const token = await abortable(credentials.token(), signal)
    const headers = { 'content-type': 'application/json', accept, ...proofOf(token) }
    const init: RequestInit = { method: 'POST', headers, body: JSON.stringify(request), signal }
    if (token === null) init.credentials = 'include'
    try {
      const response = await fetch(url, init)
      return { token, response }
    } catch (error) {
      signal.throwIfAborted()
      throw new ParleyError('NETWORK', `No answer from ${url}.`, { cause: error })
    }
  }

  return async (
    request: GraphqlRequest,
    accept: string,
    signal: AbortSignal,
    fetch: Fetch = ordinary,
  ): Promise<Response> => {
    const { token, response } = await send(request, accept, signal, fetch)
    if (response.status !== 401) credentials.accept(token)
    else if (credentials.refuse(token)) {
      await response.body?.cancel()
      return (await send(request, accept, signal, fetch)).response
    }
    return response
  }
}

/** With a cookie, what a page of another origin cannot send. */
const proofOf = (token: string | null): Record<string, string> =>
  token === null ? { 'x-parley-csrf': '1' } : { authorization: `Bearer ${token}` }

export type Post = ReturnType<typeof createPost>

type Answer<Data> = { data?: Data | null; errors?: readonly GraphqlError[] }

/** The data of an answer; throws the first of its errors. */
export async function dataOf<Data>(response: Response, signal: AbortSignal): Promise<Data> {
  const isBusy = response.status === 429 || (response.status >= 502 && response.status <= 504)
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  const noAnswer = (isTransient: boolean, cause?: unknown) =>
    new ParleyError('NETWORK', `${response.url} did not answer as Parley does (HTTP ${response.status}).`, {
      isTransient: isTransient || isBusy,
      cause,
    })
  const { data, errors } = await (response.json() as Promise<Answer<Data>>).catch((error: unknown) => {
    signal.throwIfAborted()
    // JSON that cannot be read was cut off on its way.
    throw noAnswer(isJson, error)
  })
  if (errors?.length) throw errorOf(errors, isBusy || undefined)
  if (data == null) throw noAnswer(false)
  return data
}
