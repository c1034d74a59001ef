import { createParley, type Parley, type ParleyOptions, type SessionState } from '@parley/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { RUN_COALESCE_MS: '0' } })
})

const clients: Parley[] = []
afterAll(() => {
  for (const client of clients) client.close()
})

function connect(options: Partial<ParleyOptions> = {}): Parley {
  const client = createParley({ url: `${app.url}/graphql`, token: app.token(), ...options })
  clients.push(client)
  return client
}

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

describe.each(['websocket', 'sse'] as const)('a client over %s', (transport) => {
  it('sends, reads the reply as it is written, and has the message at the end', async () => {
    await using parley = connect({ transport })
    const session = await parley.createSession({ title: 'Tides' })
    const reply = session.send('/unicode /long 120')
    const { userMessage } = await reply.sent
    const [text, again] = await Promise.all([textOf(reply), textOf(reply)])
    const { message, run } = await reply.done
    expect(userMessage).toMatchObject({ role: 'USER', content: '/unicode /long 120' })
    expect(message).toMatchObject({ role: 'ASSISTANT', status: 'COMPLETE', content: text })
    expect(run.status).toBe('COMPLETED')
    expect(again).toBe(text)
    expect(reply.text).toBe(text)
    expect(text.length).toBeGreaterThan(400)
  })

  it('keeps the state of a session', async () => {
    await using parley = connect({ transport })
    const session = await parley.createSession()
    const states = session.watch()
    const first = await states.next()
    expect(first.value).toMatchObject({ messages: [], runs: [], hasGap: false })
    const { done } = session.send('/long 60')
    let state: SessionState | undefined
    for await (state of states) if (state.messages[1]?.status === 'COMPLETE' && state.runs.length === 0) break
    const { message } = await done
    expect(state?.messages.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT'])
    expect(state?.messages[1]?.content).toBe(message.content)
  })

  it('stops a reply', async () => {
    await using parley = connect({ transport })
    const session = await parley.createSession()
    const reply = session.send('/pace 20 /long 500')
    for await (const piece of reply) if (piece) break
    await reply.stop()
    const { message, run } = await reply.done
    expect(run.status).toBe('CANCELLED')
    expect(message).toMatchObject({ status: 'CANCELLED', content: reply.text })
    expect(reply.text).not.toBe('')
  })
})
