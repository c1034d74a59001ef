/**
 * A pipeline that enriches feed items in three steps, each item in a session of its own. Every write has a key, so a run
 * that broke off, or in which a step failed, is simply started again: what is there already is neither stored nor paid
 * for twice, and a reply that failed is written anew.
 *
 *   node examples/feed-enrichment.ts [file with a JSON array of {"id", "content"}]
 */
import { readFile } from 'node:fs/promises'
import type { Session } from '@parley/client'
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
    enriched[step] = await ask(session, question(item), `${item.id}:${step}`).catch((error: Error) => {
      throw new Error(`${item.id}, ${step}: ${error.message}`)
    })
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

/** The answer to a question, of now or of an earlier start; throws where the model fails now. */
async function ask(session: Session, question: string, key: string): Promise<string | null> {
  let reply = session.send(question, { clientId: key })
  for (;;) {
    const [{ assistantMessage }, { message, run }] = await Promise.all([reply.sent, reply.done])
    if (run.status === 'COMPLETED') return message.content
    if (assistantMessage.status === 'STREAMING') throw new Error(run.error?.message ?? run.status)
    // It had ended before it was asked for: the key stands for what failed in an earlier start.
    reply = session.regenerate(message.id, { clientId: `${key}:${message.id}` })
  }
}
