/**
 * An assistant that knows its patient: facts that must not be forgotten are memories, which the model adds to by itself,
 * and appointments come from a tool that runs here. Making the agent needs an admin's token.
 *
 *   node examples/healthcare-assistant.ts [question …]
 */
import { connect } from './parley.ts'

const patient = 'patient-123'
const given = process.argv.slice(2)
const questions =
  given.length > 0 ? given : ['When is my appointment?', 'I stopped taking lisinopril. Please note that.']

const tools: Record<string, () => unknown> = {
  check_appointment: () => ({ time: '14:00', status: 'confirmed' }),
}

const parley = await connect()
await makeAgent()
await saveMemory('allergies', ['penicillin'])
await saveMemory('medications', [{ name: 'lisinopril', dosage: '10 mg' }])
const session = await openSession()

type Call = { toolCallId: string; name: string }
type Run = { id: string; status: string; pendingToolCalls: Call[]; error: { message: string } | null }
type Event = { __typename: string; text?: string; name?: string; arguments?: unknown; run?: Run }

const events = parley.listen<Event>(
  `subscription ($sessionId: ID!, $after: Cursor) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      ... on TextDelta { text }
      ... on ToolCallFinished { name arguments }
      ... on RunRequiresAction { run { ...state } }
      ... on RunFinished { run { ...state } }
    }
  }
  fragment state on Run { id status pendingToolCalls { toolCallId name } error { message } }`,
  { sessionId: session.id, after: session.cursor },
)

for (const question of questions) {
  console.log(`\n> ${question}`)
  const { run } = await startRun(question)
  await follow(run.id)
}
const { nodes } = await parley.ask<{ nodes: { key: string; value: unknown; source: string }[] }>(
  '{ memories { nodes { key value source } } }',
)
console.log('\nRemembered:')
for (const { key, value, source } of nodes) console.log(`  ${key} = ${JSON.stringify(value)} (${source})`)
await parley.close()

/** Prints the reply as it comes, and answers the tools that it calls; those of the memory the server answers itself. */
async function follow(runId: string): Promise<void> {
  for (;;) {
    const { value: event, done } = await events.next()
    if (done) throw new Error('The feed ended.')
    if (event.text) process.stdout.write(event.text)
    if (event.name) console.log(`[${event.name} ${JSON.stringify(event.arguments)}]`)
    if (event.run?.id !== runId) continue
    if (event.run.error) throw new Error(event.run.error.message)
    if (event.__typename === 'RunFinished') return console.log()
    await answer(event.run)
  }
}

async function answer({ id: runId, pendingToolCalls }: Run): Promise<void> {
  const results = pendingToolCalls.map(({ toolCallId, name }) => ({
    toolCallId,
    content: JSON.stringify(tools[name]?.() ?? 'There is no such tool.'),
    isError: !(name in tools),
  }))
  await parley.ask(
    `mutation ($input: SubmitToolResultsInput!) {
      submitToolResults(input: $input) {
        ... on SubmitToolResultsPayload { run { id } }
        ... on Error { code message }
      }
    }`,
    { input: { runId, results } },
  )
}

/** Once for the tenant; in a system of its own this belongs to its setup. */
async function makeAgent(): Promise<void> {
  const agents = await parley.ask<{ key: string }[]>('{ agents { key } }')
  if (agents.some(({ key }) => key === 'health')) return
  const parameters = { type: 'object', properties: {} }
  await parley.ask(
    `mutation ($input: CreateAgentInput!) {
      createAgent(input: $input) { ... on CreateAgentPayload { agent { id } } ... on Error { code message } }
    }`,
    {
      input: {
        key: 'health',
        name: 'Health assistant',
        systemPrompt:
          'You are a helpful medical assistant. Save what a patient tells you about their health.',
        memoryTools: true,
        tools: [
          { name: 'check_appointment', description: 'The next appointment of the patient.', parameters },
        ],
        contextPolicy: { kind: 'HIERARCHICAL' },
      },
    },
  )
}

async function saveMemory(key: string, value: unknown): Promise<void> {
  await parley.ask(
    `mutation ($input: SaveMemoryInput!) {
      saveMemory(input: $input) { ... on SaveMemoryPayload { memory { key } } ... on Error { code message } }
    }`,
    { input: { scope: 'USER', key, value } },
  )
}

async function openSession() {
  const { session } = await parley.ask<{ session: { id: string; cursor: string } }>(
    `mutation ($input: GetOrCreateSessionInput!) {
      getOrCreateSession(input: $input) {
        ... on GetOrCreateSessionPayload { session { id cursor } }
        ... on Error { code message }
      }
    }`,
    { input: { key: patient, agent: 'health' } },
  )
  return session
}

function startRun(content: string) {
  return parley.ask<{ run: Run }>(
    `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { ... on SendMessagePayload { run { id } } ... on Error { code message } }
    }`,
    { input: { sessionId: session.id, content, clientId: crypto.randomUUID() } },
  )
}
