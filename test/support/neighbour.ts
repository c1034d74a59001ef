import { randomUUID } from 'node:crypto'
import type { TestApp } from './app.ts'
import { openFrames } from './frames.ts'
import { watchSession } from './session-reader.ts'

/** Somebody else who uses the server meanwhile. */
export type Neighbour = {
  /** Resolves when a message that is stored now has come by its subscription, which was never cut. */
  isServed(): Promise<void>
  leave(): void
}

export async function openNeighbour(app: TestApp): Promise<Neighbour> {
  const identity = { user: 'neighbour' }
  const api = app.api(identity)
  const sessionId = await api.createSession()
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token(identity)}` } })
  frames.subscribe('watch', watchSession, { sessionId })
  await frames.until(({ id }) => id === 'watch')
  return {
    async isServed() {
      const content = `Still here ${randomUUID()}`
      await api.mutate('addMessages', { sessionId, messages: [{ role: 'USER', content }] })
      await frames.until(({ payload }) => payload?.data?.sessionEvents?.message?.content === content)
    },
    leave: () => frames.socket.terminate(),
  }
}
