/**
 * An analyst works on one filing over days: always the same session, every answer in the context of those before.
 *
 *   node examples/work-session.ts [question …]
 */
import { connect } from './parley.ts'

const filing = { id: 'acme-10k-2026', formType: '10-K', company: 'Acme Corp' }
const given = process.argv.slice(2)
const questions = given.length > 0 ? given : ['What were the key takeaways?', 'What are the risks?']

const parley = await connect()

type Opened = { session: { id: string; cursor: string }; created: boolean }
const { session, created } = await parley.ask<Opened>(
  `mutation ($input: GetOrCreateSessionInput!) {
    getOrCreateSession(input: $input) {
      ... on GetOrCreateSessionPayload { session { id cursor } created }
      ... on Error { code message }
    }
  }`,
  {
    input: {
      key: `filing:${filing.id}`,
      systemPrompt: `You help an analyst with the ${filing.formType} filing of ${filing.company}.`,
      metadata: { filingId: filing.id },
    },
  },
)
console.log(created ? `A new work session on ${filing.id}` : `Back at the work session on ${filing.id}`)

const startRun = (content: string) =>
  parley.ask<{ run: { id: string } }>(
    `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { ... on SendMessagePayload { run { id } } ... on Error { code message } }
    }`,
    { input: { sessionId: session.id, content, clientId: crypto.randomUUID() } },
  )

type Event = { __typename: string; text?: string; run?: { id: string; status: string } }
const events = parley.listen<Event>(
  `subscription ($sessionId: ID!, $after: Cursor) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      ... on TextDelta { text }
      ... on RunFinished { run { id status } }
    }
  }`,
  { sessionId: session.id, after: session.cursor },
)
for (const question of questions) {
  console.log(`\n> ${question}`)
  const { run } = await startRun(question)
  for (;;) {
    const { value: event, done } = await events.next()
    if (done) throw new Error('The feed ended.')
    if (event.text) process.stdout.write(event.text)
    if (event.run?.id === run.id) break
  }
  console.log()
}

type Found = { nodes: { messageCount: number; usage: { inputTokens: number; outputTokens: number } }[] }
const found = await parley.ask<Found>(
  `query ($metadata: JSONObject) {
    sessions(filter: { metadata: $metadata }) { nodes { messageCount usage { inputTokens outputTokens } } }
  }`,
  { metadata: { filingId: filing.id } },
)
for (const { messageCount, usage } of found.nodes)
  console.log(`\n${messageCount} messages, ${usage.inputTokens} tokens in, ${usage.outputTokens} out`)

await parley.close()
