import { setTimeout as sleep } from 'node:timers/promises'
import { createApi } from '../support/api.ts'
import { openFrames } from '../support/frames.ts'
import type { World } from './world.ts'

/** Settings of a world in which messages are long enough to fill what lies between two sockets. */
export const longMessages = { CHAT_MESSAGE_MAX_LENGTH: '200000' }

const query = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
  ... on MessageAdded { message { content } } } }`

/**
 * Two readers at one node, of whom one takes nothing any more, while 15 MB are written at the other node. Gives what is
 * wrong: the first must be cut, the second must have had everything.
 */
export async function stopReading({ nodes, token }: World): Promise<string[]> {
  const [near, far] = nodes.map(({ port }) => `http://127.0.0.1:${port}`) as [string, string]
  const api = createApi(far, token('user'))
  const sessionId = await api.createSession()
  const open = async () => {
    const frames = await openFrames(near, { params: { authorization: `Bearer ${token('user')}` } })
    frames.subscribe('s', query, { sessionId })
    await frames.until(({ type }) => type === 'next')
    return frames
  }
  const [stopped, healthy] = [await open(), await open()]
  stopped.socket.pause()
  for (let index = 0; index < 150; index += 1) {
    const content = `${index} ${'x'.repeat(100_000)}`
    await api.change('addMessages', { sessionId, messages: [{ role: 'USER', content }] })
  }
  const wrong: string[] = []
  const isLast = async () => {
    await healthy.until(({ payload }) => payload?.data?.sessionEvents?.message?.content.startsWith('149 '))
    return true
  }
  if (!(await Promise.race([isLast(), sleep(5_000, false)])))
    wrong.push('the other reader has not had everything')
  // Ten seconds, and what it takes to find out.
  await sleep(12_000)
  stopped.socket.resume()
  const closed = await Promise.race([stopped.closed, sleep(5_000, null)])
  if (closed === null) wrong.push('the reader that stopped was not cut')
  for (const { socket } of [stopped, healthy]) socket.terminate()
  return wrong
}
