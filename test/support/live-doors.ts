import { openFrames } from './frames.ts'
import { watchSession } from './session-reader.ts'
import { openEventStream } from './sse.ts'

/** Opens what stays open, as this token: a socket with a subscription to the session, and an event stream. */
export async function openLiveDoors(url: string, token: string, sessionId: string) {
  const frames = await openFrames(url, { params: { authorization: `Bearer ${token}` } })
  frames.subscribe('1', watchSession, { sessionId })
  await frames.until(({ id }) => id === '1')
  const stream = openEventStream(url, token, watchSession, { sessionId })
  await stream.at(0)
  return { frames, stream }
}
