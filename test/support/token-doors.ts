import { expect } from 'vitest'
import type { Answer } from './api.ts'
import { openFrames } from './frames.ts'
import { openEventStream } from './sse.ts'

const watchAll = 'subscription { sessionChanged { __typename } }'

/**
 * What each door says to this token: of requests and event streams the status, of sockets the frame or the code. `reason`
 * is what requests are told, which tells the checks of the server from those of its library.
 */
export async function outcomesOf({ url }: { url: string }, token: string) {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: '{ viewer { role } }' }),
  })
  const { errors } = (await answer.json()) as Answer
  const stream = openEventStream(url, token, watchAll)
  const events = (await stream.response).status
  if (events === 200) expect(await stream.at(0)).not.toBeNull()
  stream.cut()
  const frames = await openFrames(url)
  frames.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
  const { type, payload } = await Promise.race([
    frames.until(({ type }) => type === 'connection_ack'),
    frames.closed.then(({ code }) => ({ type: String(code), payload: undefined })),
  ]).catch(async () => ({ type: String((await frames.closed).code), payload: undefined }))
  frames.socket.terminate()
  return { status: answer.status, reason: errors?.[0]?.message, events, socket: type, payload }
}

export const letIn = { status: 200, events: 200, socket: 'connection_ack' }
export const keptOut = { status: 401, events: 401, socket: '4401' }
