import { isDeepStrictEqual } from 'node:util'
import { decodeId } from '../../../src/lib/ids.ts'
import type { Work } from './requests.ts'

/**
 * Throws unless all servers answered the same: the same rows in the same order, with the same fields. What the dialects
 * of the peers write differently is made one: global ids, `edges` and `nodes`, connections where others have lists.
 */
export function createAnswerCheck(): (peer: string, work: Work, text: string) => void {
  const first = new Map<Work, { peer: string; answer: unknown }>()
  return (peer, work, text) => {
    const { data, errors } = JSON.parse(text) as { data?: unknown; errors?: unknown }
    if (!data || errors) throw new Error(`${peer} does not answer ${work}: ${text.slice(0, 500)}`)
    const answer = work === 'M1' ? withoutRow(plainForm(data)) : plainForm(data)
    const other = first.get(work)
    first.set(work, other ?? { peer, answer })
    if (other && !isDeepStrictEqual(other.answer, answer))
      throw new Error(
        `${work}: ${peer} and ${other.peer} answer differently.\n${shown(answer)}\n${shown(other.answer)}`,
      )
  }
}

const shown = (answer: unknown) => JSON.stringify(answer).slice(0, 1_500)

type Json = Record<string, unknown>

function plainForm(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainForm)
  if (typeof value === 'string') return /^(session|message)_/.test(value) ? decodeId(value).uuid : value
  if (typeof value !== 'object' || value === null) return value
  const { edges, addMessages, ...rest } = value as Json
  const renamed: Json = {
    ...rest,
    ...(Array.isArray(edges) ? { nodes: edges.map(({ node }: { node: unknown }) => node) } : {}),
    ...(addMessages ? { addMessage: (addMessages as { messages: unknown[] }).messages[0] } : {}),
  }
  const fields = Object.entries(renamed).map(([name, field]) => [name, plainForm(field)] as const)
  return Object.fromEntries(
    fields.map(([name, field]) => [name, name === 'messages' ? nodesOf(field) : field]),
  )
}

const nodesOf = (field: unknown) => (Array.isArray(field) ? field : (field as Json).nodes)

/** A stored message has an id, a number and a time of its own: what of those is there counts, not what it is. */
const withoutRow = (data: unknown): Json => {
  const { id, seq, createdAt, ...message } = (data as { addMessage: Json }).addMessage
  return {
    ...message,
    id: typeof id,
    seq: typeof seq,
    createdAt: Number.isFinite(Date.parse(`${createdAt}`)),
  }
}
