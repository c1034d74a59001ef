import type { Socket } from 'node:net'
import { expect } from 'vitest'
import type { TestApp } from './app.ts'
import { type Frames, openFrames } from './frames.ts'
import { serverSocketsOf } from './server-sockets.ts'
import { watchSession } from './session-reader.ts'

const addMessages = `mutation ($input: AddMessagesInput!) {
  addMessages(input: $input) { __typename ... on Error { message } }
}`

/** For servers that are to take `writeMuch`. */
export const longMessages = { CHAT_MESSAGE_MAX_LENGTH: '200000' }

/** 15 MB of messages: more than the network keeps between two sockets of one machine. Calls back after each. */
export async function writeMuch(app: TestApp, sessionId: string, written: () => void = () => {}) {
  for (let index = 0; index < 150; index += 1) {
    const content = `${index} ${'x'.repeat(100_000)}`
    const { addMessages: added } = await app
      .api()
      .run(addMessages, { input: { sessionId, messages: [{ role: 'USER', content }] } })
    expect(added.message).toBeUndefined()
    written()
  }
}

/** A socket of the user's, and the server's end of it. */
export async function openServed(app: TestApp): Promise<{ frames: Frames; served: Socket }> {
  const { result: frames, sockets } = await serverSocketsOf(app.url, () =>
    openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } }),
  )
  const [served] = sockets
  if (!served) throw new Error('The server saw no connection.')
  return { frames, served }
}

/** A subscription whose reader takes nothing any more, and the server's end of it. */
export async function openStopped(
  app: TestApp,
  sessionId: string,
): Promise<{ frames: Frames; served: Socket }> {
  const { frames, served } = await openServed(app)
  frames.subscribe('s', watchSession, { sessionId })
  await frames.until(({ id }) => id === 's')
  frames.socket.pause()
  return { frames, served }
}
