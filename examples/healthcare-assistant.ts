/**
 * An assistant that knows its patient: facts that must not be forgotten are memories, which the model adds to by itself,
 * and appointments come from a tool that runs here. Making the agent needs an admin's token.
 *
 *   node examples/healthcare-assistant.ts [question …]
 */
import type { Run } from '@parley/client'
import { connect } from './connect.ts'

const patient = 'patient-123'
const given = process.argv.slice(2)
const questions =
  given.length > 0 ? given : ['When is my appointment?', 'I stopped taking lisinopril. Please note that.']

const tools: Record<string, () => unknown> = {
  check_appointment: () => ({ time: '14:00', status: 'confirmed' }),
}

await using parley = await connect()
await makeAgent()
await remember({ allergies: ['penicillin'], medications: [{ name: 'lisinopril', dosage: '10 mg' }] })
const session = await parley.getOrCreateSession({ key: patient, agent: 'health' })

for (const question of questions) {
  console.log(`\n> ${question}`)
  let reply: ReturnType<typeof session.submitToolResults> = session.send(question)
  for (;;) {
    for await (const text of reply) process.stdout.write(text)
    const { run } = await reply.done
    if (run.error) throw new Error(run.error.message)
    if (run.status !== 'REQUIRES_ACTION') break
    reply = session.submitToolResults(run.id, run.pendingToolCalls.map(answer))
  }
  console.log()
}

console.log('\nRemembered:')
for (const { key, value, source } of await memories())
  console.log(`  ${key} = ${JSON.stringify(value)} (${source})`)

function answer({ toolCallId, name, arguments: input }: Run['pendingToolCalls'][number]) {
  console.log(`[${name} ${JSON.stringify(input)}]`)
  const content = JSON.stringify(tools[name]?.() ?? 'There is no such tool.')
  return { toolCallId, content, isError: !(name in tools) }
}

/** Once for the tenant; in a system of its own this belongs to its setup. */
async function makeAgent(): Promise<void> {
  const { agents } = await parley.request<{ agents: { key: string }[] }, object>('{ agents { key } }')
  if (agents.some(({ key }) => key === 'health')) return
  const parameters = { type: 'object', properties: {} }
  await parley.mutate<object, object>(
    `mutation ($input: CreateAgentInput!) {
      createAgent(input: $input) { ... on CreateAgentPayload { agent { id } } ... on Error { code message } }
    }`,
    {
      key: 'health',
      name: 'Health assistant',
      systemPrompt: 'You are a helpful medical assistant. Save what a patient tells you about their health.',
      memoryTools: true,
      tools: [{ name: 'check_appointment', description: 'The next appointment of the patient.', parameters }],
      contextPolicy: { kind: 'HIERARCHICAL' },
    },
  )
}

async function memories() {
  type Remembered = { memories: { nodes: { key: string; value: unknown; source: string }[] } }
  const found = await parley.request<Remembered, object>('{ memories { nodes { key value source } } }')
  return found.memories.nodes
}

/** What is there already stays: the model may have changed it since. */
async function remember(facts: Record<string, unknown>): Promise<void> {
  const known = new Set((await memories()).map(({ key }) => key))
  for (const [key, value] of Object.entries(facts)) if (!known.has(key)) await saveMemory(key, value)
}

async function saveMemory(key: string, value: unknown): Promise<void> {
  await parley.mutate<object, object>(
    `mutation ($input: SaveMemoryInput!) {
      saveMemory(input: $input) { ... on SaveMemoryPayload { memory { key } } ... on Error { code message } }
    }`,
    { scope: 'USER', key, value },
  )
}
