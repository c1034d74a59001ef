import { randomBytes } from 'node:crypto'
import type { Statement, TenantDatabase } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { excerptOf, type Passages, promptOf } from '../documents/passages.ts'
import { isAlive } from '../memory/store.ts'
import type { Scene } from './conversation.ts'
import type { Extra, Part } from './fit.ts'
import { marked } from './marking.ts'
import { findPassages } from './passages.ts'

/** What the makers of parts know. `turns` are those that may go along as they are. */
export type ExtrasAsked = {
  db: TenantDatabase
  sessionId: string
  /** Who asks. */
  userId: string
  scene: Scene
  policy: ContextPolicy
  /** What is asked; null where a preview has no question. */
  question: string | null
  /** Older messages than this may be told in passages. */
  firstSeq: number
  sendsHistory: boolean
  documents: Passages
  count: (text: string) => number
}

type Maker = (asked: ExtrasAsked) => Promise<readonly Extra[]> | readonly Extra[]

/** What goes along beside the conversation; where it gets tight, the first are kept. */
const makers: readonly Maker[] = [documentPart, summaryPart, memoryPart, passageParts]

export async function makeExtras(asked: ExtrasAsked): Promise<Extra[]> {
  return (await Promise.all(makers.map((make) => make(asked)))).flat()
}

/** It stands at the end of the system prompt, since it says how answers name their sources. */
async function documentPart({ db, userId, scene, question, documents }: ExtrasAsked): Promise<Extra[]> {
  const { documentIds } = scene
  if (documentIds.length === 0 || question === null) return []
  const passages = await documents.find({ db, userId }, { question, documentIds })
  if (passages.length === 0) return []
  const mark = randomBytes(8).toString('hex')
  return [
    {
      pieces: passages.map((passage, index) => excerptOf(passage, index + 1)),
      toPart(places) {
        const cited = places.flatMap((place) => passages[place] ?? [])
        const message = { role: 'system', content: promptOf(cited, mark) } as const
        return { kind: 'PASSAGE', message, messageId: null, cited }
      },
    },
  ]
}

/** What goes along whole or not at all. */
const inOnePiece = (part: Part): Extra => ({ pieces: [part.message.content], toPart: () => part })

export const isSummarizing = ({ kind }: ContextPolicy): boolean =>
  kind === 'SUMMARIZE' || kind === 'HIERARCHICAL'

function summaryPart({ scene: { summary }, policy }: ExtrasAsked): Extra[] {
  return summary && isSummarizing(policy) ? [inOnePiece(marked('SUMMARY', 'summary', summary.content))] : []
}

const findMemories: Statement = {
  name: 'context-memories',
  text: `SELECT CASE WHEN m.session_id IS NULL THEN 'USER' ELSE 'SESSION' END AS scope, m.key, m.value FROM memories m
    WHERE m.tenant_id = $1 AND (m.user_id = $2 OR m.session_id = $3) AND ${isAlive}
    ORDER BY m.updated_at DESC, m.id LIMIT 500`,
}

type Remembered = { scope: string; key: string; value: unknown }

/** Tokens of what is remembered, however much room there is. */
const maxMemoryTokens = 4_000

/** Those that were saved last come first; they stand in an order that does not change with what is saved. */
async function memoryPart(asked: ExtrasAsked): Promise<Extra[]> {
  const { db, sessionId, scene, policy, count } = asked
  if (!(policy.memories ?? (policy.kind === 'HIERARCHICAL' || scene.memoryTools))) return []
  const found = await db.sql<Remembered>(findMemories, [db.tenantId, scene.personId, sessionId])
  const lines: string[] = []
  let left = maxMemoryTokens
  for (const memory of found) {
    const line = JSON.stringify(memory)
    const size = count(line) + 1
    if (size > left) continue
    left -= size
    lines.push(line)
  }
  const toPart = (places: readonly number[]) => {
    const chosen = places.flatMap((place) => lines[place] ?? [])
    return marked('MEMORY', 'memories', chosen.sort().join('\n'))
  }
  return lines.length > 0 ? [{ pieces: lines, toPart }] : []
}

const defaultPassages = 5

async function passageParts(asked: ExtrasAsked): Promise<Extra[]> {
  const { db, sessionId, scene, policy, question, firstSeq, sendsHistory } = asked
  if (policy.kind !== 'RETRIEVAL' || !sendsHistory || question === null) return []
  const passages = await findPassages(db, {
    question,
    personId: scene.personId,
    sessionId,
    firstSeq,
    limit: policy.passages ?? defaultPassages,
  })
  return passages.map(({ id, text }) => inOnePiece(marked('PASSAGE', 'passage', text, id)))
}
