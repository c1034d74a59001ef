import { setTimeout as sleep } from 'node:timers/promises'
import { createApi } from '../support/api.ts'
import { openFrames } from '../support/frames.ts'
import type { World } from './world.ts'

const atOnce = 10
/** What a node may hold more than before without anything having leaked: idle connections of its pools. */
const spareHandles = 12

/**
 * Clients that come, follow, and are gone without a word. Gives what is left of them afterwards: files and sockets of the
 * nodes, keys of Redis that stay for ever.
 */
export async function comeAndGo(world: World, cycles: number): Promise<string[]> {
  const urls = world.nodes.map(({ port }) => `http://127.0.0.1:${port}`)
  const [first = ''] = urls
  const token = world.token('user')
  const api = createApi(first, token)
  const sessionId = await api.createSession()
  const query = 'subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) { cursor } }'
  const attempt = async (url: string) => {
    const frames = await openFrames(url, { params: { authorization: `Bearer ${token}` } })
    frames.subscribe('s', query, { sessionId })
    await frames.until(({ type }) => type === 'next')
    frames.socket.terminate()
    await frames.closed
  }
  /** A node that has too much to do says so, and is asked again. */
  const comeOnce = async (url: string, tries = 10): Promise<void> => {
    try {
      await attempt(url)
    } catch (error) {
      if (tries === 0) throw error
      await sleep(200)
      await comeOnce(url, tries - 1)
    }
  }
  const comeTogether = () =>
    Promise.all(Array.from({ length: atOnce }, (_, index) => comeOnce(urls[index % urls.length] ?? first)))
  await comeTogether()
  const before = await handlesOf(world)
  for (let cycle = atOnce; cycle < cycles; cycle += atOnce) {
    await comeTogether()
    await api.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'note' }] })
  }
  let leaked: string[] = []
  for (let tries = 0; tries < 20; tries += 1) {
    const after = await handlesOf(world)
    leaked = after.flatMap((count, index) =>
      count > (before[index] ?? 0) + spareHandles
        ? [`node ${index} holds ${count} handles, ${before[index]} before`]
        : [],
    )
    if (leaked.length === 0) break
    await sleep(500)
  }
  return [...leaked, ...(await keysForEver(world))]
}

const handlesOf = ({ nodes }: World) => Promise.all(nodes.map((node) => node.handles()))

async function keysForEver({ redis: { admin } }: World): Promise<string[]> {
  const keys = await admin.keys('*')
  const left = await Promise.all(keys.map((key) => admin.pttl(key)))
  return keys.filter((_, index) => left[index] === -1).map((key) => `the key ${key} stays for ever`)
}
