import { gql } from '@apollo/client'
import type { ParleyOptions } from '@parley/client'
import { createParleyApollo, parleyOf, sendIn } from '@parley/client/apollo'
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

async function startSession(options: Partial<ParleyOptions>) {
  const client = createParleyApollo({ url: `${app.url}/graphql`, token: app.token(), ...options })
  onTestFinished(() => parleyOf(client).close())
  const sessionId = await app.api().createSession({ model: 'demo:chat' })
  return { client, sessionId, send: (content: string) => sendIn(client, sessionId, content) }
}

const sentMessages = `query ($id: ID!) { session(id: $id) { messages(role: USER) { nodes { content } } } }`
const stored = async (id: string): Promise<string[]> =>
  (await app.api().run(sentMessages, { id })).session.messages.nodes.map(
    ({ content }: { content: string }) => content,
  )

/** Lets nothing through that says this, for the first few times. */
const failingFor =
  (text: string, times: number, fail: () => Response): typeof fetch =>
  async (url, init) =>
    String(init?.body).includes(text) && times-- > 0 ? fail() : fetch(url, init)

const lost = () => {
  throw new TypeError('The network is gone.')
}

it('stores messages in the order in which they were sent, also where one has to be sent again', async () => {
  const { sessionId, send } = await startSession({ retries: 0, fetch: failingFor('"First"', 3, lost) })
  for (const content of ['First', 'Second', 'Third']) send(content)
  await vi.waitFor(async () => expect(await stored(sessionId)).toHaveLength(3), patience)
  expect(await stored(sessionId)).toEqual(['First', 'Second', 'Third'])
})

it('waits as long as the server asks for', async () => {
  const refusal = { message: 'Too many.', extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 2 } }
  const busy = () => Response.json({ errors: [refusal] }, { status: 429 })
  const { sessionId, send } = await startSession({ retries: 0, fetch: failingFor('"Patient"', 1, busy) })
  const sentAt = performance.now()
  send('Patient')
  await vi.waitFor(async () => expect(await stored(sessionId)).toEqual(['Patient']), patience)
  expect(performance.now() - sentAt).toBeGreaterThan(2_000)
})

it('lets the next message go where one is refused for good', async () => {
  const { sessionId, send } = await startSession({ retries: 0 })
  for (const content of ['', 'Second']) send(content)
  await vi.waitFor(async () => expect(await stored(sessionId)).toEqual(['Second']), patience)
})

it('has a message in the conversation as soon as it is stored, with no feed to bring it', async () => {
  const { client, sessionId, send } = await startSession({})
  const query = gql`query ($id: ID!) {
    session(id: $id) { id messages(last: 10) { totalCount nodes { id role content clientId } } }
  }`
  const variables = { id: sessionId }
  await client.query({ query, variables })
  send('Are you there?')
  // biome-ignore lint/suspicious/noExplicitAny: the document has no types
  const known = () => client.readQuery<any>({ query, variables })?.session.messages
  await vi.waitFor(() => expect(known().nodes).toHaveLength(2), patience)
  expect(known()).toMatchObject({
    totalCount: 2,
    nodes: [{ content: 'Are you there?' }, { role: 'ASSISTANT' }],
  })
})
