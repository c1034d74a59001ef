import type { Statement, TenantDatabase } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import type { Passages } from '../documents/passages.ts'
import { isAlive } from '../memory/store.ts'
import type { Scene } from './conversation.ts'
import type { Part } from './fit.ts'
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
  /** The reply that is being made; null in a preview. */
  replyId: string | null
  /** Tokens that one maker may use. */
  allowance: number
  count: (text: string) => number
}

type Maker = (asked: ExtrasAsked) => Promise<readonly Part[]> | readonly Part[]

/** What goes along beside the conversation; where it gets tight, the first are kept. */
const makers: readonly Maker[] = [documentPart, summaryPart, memoryPart, passageParts]

export async function makeExtras(asked: ExtrasAsked): Promise<Part[]> {
  return (await Promise.all(makers.map((make) => make(asked)))).flat()
}

/** It stands at the end of the system prompt, since it says how answers name their sources. */
async function documentPart({
  db,
  userId,
  scene,
  question,
  documents,
  replyId,
}: ExtrasAsked): Promise<Part[]> {
  const { documentIds } = scene
  if (documentIds.length === 0 || question === null) return []
  const content = await documents({ db, userId }, { question, documentIds, messageId: replyId })
  return content === null ? [] : [{ kind: 'PASSAGE', message: { role: 'system', content }, messageId: null }]
}

export const isSummarizing = ({ kind }: ContextPolicy): boolean =>
  kind === 'SUMMARIZE' || kind === 'HIERARCHICAL'

function summaryPart({ scene: { summary }, policy }: ExtrasAsked): Part[] {
  return summary && isSummarizing(policy) ? [marked('SUMMARY', 'summary', summary.content)] : []
}

const findMemories: Statement = {
  name: 'context-memories',
  text: `SELECT CASE WHEN m.session_id IS NULL THEN 'USER' ELSE 'SESSION' END AS scope, m.key, m.value FROM memories m
    WHERE m.tenant_id = $1 AND (m.user_id = $2 OR m.session_id = $3) AND ${isAlive}
    ORDER BY m.updated_at DESC, m.id LIMIT 500`,
}

type Remembered = { scope: string; key: string; value: unknown }

/** Those that were saved last, as far as there is room; in an order that does not change with what is saved. */
async function memoryPart(asked: ExtrasAsked): Promise<Part[]> {
  const { db, sessionId, scene, policy, allowance, count } = asked
  if (!(policy.memories ?? (policy.kind === 'HIERARCHICAL' || scene.memoryTools))) return []
  const found = await db.sql<Remembered>(findMemories, [db.tenantId, scene.personId, sessionId])
  const lines: string[] = []
  let left = allowance
  for (const memory of found) {
    const line = JSON.stringify(memory)
    left -= count(line) + 1
    if (left < 0) break
    lines.push(line)
  }
  return lines.length > 0 ? [marked('MEMORY', 'memories', lines.sort().join('\n'))] : []
}

const defaultPassages = 5

async function passageParts(asked: ExtrasAsked): Promise<Part[]> {
  const { db, sessionId, scene, policy, question, firstSeq, sendsHistory } = asked
  if (policy.kind !== 'RETRIEVAL' || !sendsHistory || question === null) return []
  const passages = await findPassages(db, {
    question,
    personId: scene.personId,
    sessionId,
    firstSeq,
    limit: policy.passages ?? defaultPassages,
  })
  return passages.map(({ id, text }) => marked('PASSAGE', 'passage', text, id))
}
