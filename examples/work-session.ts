/**
 * An analyst works on one filing over days: always the same session, every answer in the context of those before.
 *
 *   node examples/work-session.ts [question …]
 */
import { connect } from './connect.ts'

const filing = { id: 'acme-10k-2026', formType: '10-K', company: 'Acme Corp' }
const given = process.argv.slice(2)
const questions = given.length > 0 ? given : ['What were the key takeaways?', 'What are the risks?']

await using parley = await connect()
const work = await parley.getOrCreateSession({
  key: `filing:${filing.id}`,
  systemPrompt: `You help an analyst with the ${filing.formType} filing of ${filing.company}.`,
  metadata: { filingId: filing.id },
})
const { session } = await work.read({ last: 1 })
console.log(
  `${session.messageCount === 0 ? 'A new work session' : 'Back at the work session'} on ${filing.id}`,
)

for (const question of questions) {
  console.log(`\n> ${question}`)
  for await (const text of work.send(question)) process.stdout.write(text)
  console.log()
}

type Found = {
  sessions: { nodes: { messageCount: number; usage: { inputTokens: number; outputTokens: number } }[] }
}
const { sessions } = await parley.request<Found, object>(
  `query ($metadata: JSONObject) {
    sessions(filter: { metadata: $metadata }) { nodes { messageCount usage { inputTokens outputTokens } } }
  }`,
  { metadata: { filingId: filing.id } },
)
for (const { messageCount, usage } of sessions.nodes)
  console.log(`\n${messageCount} messages, ${usage.inputTokens} tokens in, ${usage.outputTokens} out`)
