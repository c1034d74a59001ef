import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, onTestFinished } from 'vitest'
import type { Identity, TestApp } from './app.ts'
import { atEndOfFile } from './at-end.ts'
import { openFrames } from './frames.ts'
import { watchSession } from './session-reader.ts'

/** Somebody of another tenant who uses the server meanwhile: sends, reads, and follows what is sent. */
export type Neighbour = {
  /**
   * Resolves when everything that was sent so far, and one message more, has come by its subscription, once each and
   * in order. Fails where anything was refused or kept it waiting.
   */
  isServed(): Promise<void>
  leave(): void
  hasLeft(): boolean
}

/** Milliseconds that a write, a read or an event may take on a machine that is busy with other tests. */
const answersWithinMs = 15_000
const sendsEveryMs = 250

const read = `query ($id: ID!) {
  session(id: $id) { messageCount messages(last: 1) { nodes { content } } }
}`

/** For the whole file: has a neighbour on this server, and fails any test after which it was not served as ever. */
export function besideNeighbour(appOf: () => TestApp, identity?: Identity): void {
  let neighbour: Neighbour | undefined
  beforeAll(async () => {
    neighbour = await openNeighbour(appOf(), identity)
  })
  afterEach(() => neighbour?.isServed())
}

/**
 * For the present test, where it has a server of its own; it is looked after in the end unless it has left. One that is
 * quiet sends only when it is asked after.
 */
export async function neighbourBeside(app: TestApp, { isQuiet = false } = {}): Promise<Neighbour> {
  const neighbour = await openNeighbour(app, undefined, isQuiet)
  onTestFinished(async () => {
    if (!neighbour.hasLeft()) await neighbour.isServed()
    neighbour.leave()
  })
  return neighbour
}

async function openNeighbour(
  app: TestApp,
  identity: Identity = { user: 'neighbour', tenant: 'neighbours' },
  isQuiet = false,
): Promise<Neighbour> {
  const api = app.api(identity)
  const sessionId = await api.createSession()
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token(identity)}` } })
  frames.subscribe('watch', watchSession, { sessionId })
  await frames.until(({ id }) => id === 'watch')
  const sent: string[] = []
  const faults: unknown[] = []
  let turn = Promise.resolve()
  const resting = new AbortController()

  async function useOnce() {
    const content = `Still here ${randomUUID()}`
    const input = { sessionId, messages: [{ role: 'USER', content }] }
    expect(await api.mutate('addMessages', input)).toEqual({ __typename: 'AddMessagesPayload' })
    sent.push(content)
    const { session } = await api.run(read, { id: sessionId })
    expect(session).toEqual({ messageCount: sent.length, messages: { nodes: [{ content }] } })
    await frames.until(({ payload }) => contentsIn(payload).includes(content))
  }
  const use = () => {
    turn = turn.then(() => within(answersWithinMs, useOnce())).catch((fault) => void faults.push(fault))
    return turn
  }
  const leave = () => {
    resting.abort()
    frames.socket.terminate()
  }
  atEndOfFile(leave)
  void (async () => {
    while (!isQuiet && !resting.signal.aborted) {
      await sleep(sendsEveryMs, undefined, { signal: resting.signal, ref: false }).catch(() => {})
      if (!resting.signal.aborted) await use()
    }
  })()
  return {
    async isServed() {
      await use()
      expect(faults.map(String), 'what befell the neighbour').toEqual([])
      const added = frames.received.flatMap(
        ({ payload }) => payload?.data?.sessionEvents?.message?.content ?? [],
      )
      expect(added, 'what came to the neighbour twice').toHaveLength(new Set(added).size)
      const heard = new Set(frames.received.flatMap(({ payload }) => contentsIn(payload)))
      expect([...heard], 'what the neighbour heard').toEqual(sent)
    },
    leave,
    hasLeft: () => resting.signal.aborted,
  }
}

/** Of a message that was added, or of all in a snapshot. */
const contentsIn = (payload?: { data?: { sessionEvents?: Told } }): string[] => {
  const { message, messages = [] } = payload?.data?.sessionEvents ?? {}
  return (message ? [message] : messages).map(({ content }) => content)
}
type Told = { message?: { content: string }; messages?: { content: string }[] }

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = sleep(ms, undefined, { ref: false }).then(() => {
    throw new Error(`The neighbour waited for more than ${ms} ms.`)
  })
  return Promise.race([work, late])
}
