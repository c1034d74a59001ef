import { createApi } from '../support/api.ts'
import { question } from './model.ts'
import type { World } from './world.ts'

const sends = 3
/** Nobody is killed here: what takes longer waits for what was told before it listened. */
const patienceMs = 15_000

/**
 * Sends that wait for replies of one word, which end before their sender listens. Gives what was never answered.
 */
export async function waitForShort(world: World): Promise<string[]> {
  const api = createApi(`http://127.0.0.1:${world.nodes[0]?.port}`, world.token('user'))
  const lost: string[] = []
  for (let place = 0; place < sends && lost.length === 0; place += 1) {
    const sessionId = await api.createSession()
    const content = question(`wait-${place}`, 1, 0)
    const late = new Promise<null>((resolve) => setTimeout(resolve, patienceMs, null))
    const answer = await Promise.race([api.sendMessage({ sessionId, content, wait: true }), late])
    if (answer?.run?.status !== 'COMPLETED') lost.push(`the send ${place} was never answered`)
  }
  return lost
}
