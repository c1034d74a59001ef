/**
 * Entities of a text in two turns: find them all, then keep what is wanted; the last answer is JSON to go on with.
 *
 *   node examples/entity-refinement.ts [text] [refinement]
 */
import { connect } from './connect.ts'

const [
  text = 'Acme Corp (NYSE: ACME) buys Globex from Initech for $2bn, said its CFO.',
  refinement = 'Keep companies only. Answer with nothing but a JSON array of {"name", "ticker"}; null for no ticker.',
] = process.argv.slice(2)

await using parley = await connect()
const session = await parley.createSession({
  systemPrompt: 'You extract financial entities.',
  parameters: { temperature: 0 },
})
await session.send(`Extract the entities from:\n\n${text}`).done
const { message } = await session.send(refinement).done

for (const { name, ticker } of parseEntities(message.content ?? '')) console.log(`${name}\t${ticker ?? '-'}`)

type Entity = { name: string; ticker: string | null }

/** Models like to wrap JSON into a sentence and a fence. */
function parseEntities(answer: string): Entity[] {
  const [json] = /\[[\s\S]*\]/.exec(answer) ?? []
  try {
    return JSON.parse(json ?? '') as Entity[]
  } catch {
    console.error(`The model did not answer with entities, but:\n\n${answer}`)
    process.exitCode = 1
    return []
  }
}
