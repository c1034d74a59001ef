/**
 * A pipeline that enriches feed items in three steps, each in a session of its own. Every write has a key, so a run
 * that broke off is simply started again: what is there already is neither stored nor paid for twice.
 *
 *   node examples/feed-enrichment.ts [file with a JSON array of {"id", "content"}]
 */
import { readFile } from 'node:fs/promises'
import { connect } from './parley.ts'

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

const parley = await connect()
for (const item of items) {
  const sessionId = await openSession(item)
  const enriched: Record<string, string> = {}
  for (const [step, question] of Object.entries(steps)) {
    const reply = await parley.send(sessionId, question(item), `${item.id}:${step}`)
    enriched[step] = reply.content
  }
  await keep(sessionId, { itemId: item.id, enriched })
  console.log(JSON.stringify({ ...item, ...enriched }, null, 2))
}
await parley.close()

async function openSession(item: Item): Promise<string> {
  const { session } = await parley.ask<{ session: { id: string } }>(
    `mutation ($input: CreateSessionInput!) {
      createSession(input: $input) {
        ... on CreateSessionPayload { session { id } }
        ... on Error { code message }
      }
    }`,
    { input: { title: item.id, tags: ['feed'], clientId: `feed:${item.id}` } },
  )
  return session.id
}

/** Beside the conversation that it came from. */
async function keep(sessionId: string, metadata: Record<string, unknown>): Promise<void> {
  await parley.ask(
    `mutation ($input: UpdateSessionInput!) {
      updateSession(input: $input) {
        ... on UpdateSessionPayload { session { id } }
        ... on Error { code message }
      }
    }`,
    { input: { sessionId, metadata } },
  )
}
