/**
 * A pipeline that enriches feed items in three steps, each in a session of its own. Every write has a key, so a run
 * that broke off is simply started again: what is there already is neither stored nor paid for twice. A step whose reply
 * failed is told as failed again, since its key stands for that reply; it is asked again under another key.
 *
 *   node examples/feed-enrichment.ts [file with a JSON array of {"id", "content"}]
 */
import { readFile } from 'node:fs/promises'
import { connect } from './connect.ts'

type Item = { id: string; content: string }

const [file] = process.argv.slice(2)
const items: Item[] = file
  ? JSON.parse(await readFile(file, 'utf8'))
  : [
      { id: 'item-1', content: 'Acme Corp reports a quarterly profit of $120m, up 8 % on the year.' },
      { id: 'item-2', content: 'Regulators open an inquiry into the merger of Globex and Initech.' },
    ]

const steps = {
  summary: ({ content }: Item) => `Summarize in one sentence: ${content}`,
  takeaways: () => 'List 3 key takeaways.',
  category: () => 'Categorize as one of: earnings, M&A, regulatory.',
}

await using parley = await connect()
for (const item of items) {
  const session = await parley.createSession({ title: item.id, tags: ['feed'], clientId: `feed:${item.id}` })
  const enriched: Record<string, string | null> = {}
  for (const [step, question] of Object.entries(steps)) {
    const { message, run } = await session.send(question(item), { clientId: `${item.id}:${step}` }).done
    if (run.error) throw new Error(`${item.id}, ${step}: ${run.error.message}`)
    enriched[step] = message.content
  }
  // Kept beside the conversation that it came from.
  await parley.mutate<object, object>(
    `mutation ($input: UpdateSessionInput!) {
      updateSession(input: $input) {
        ... on UpdateSessionPayload { session { id } }
        ... on Error { code message }
      }
    }`,
    { sessionId: session.id, metadata: { itemId: item.id, enriched } },
  )
  console.log(JSON.stringify({ ...item, ...enriched }, null, 2))
}
