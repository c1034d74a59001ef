import { encodeId } from '../../src/lib/ids.ts'

/** Moments are in milliseconds; users, sessions and agents are places in the lists of the world. */
export type Run = {
  at: number
  session: number
  user: number
  agent: number | null
  model: string
  status: string
  input: number
  output: number
  cached: number
  nanodollars: bigint
  firstTokenMs: number | null
}
export type Message = { at: number; session: number; agent: number | null; model: string | null }
export type Asked = {
  between: number[]
  interval: 'HOUR' | 'DAY' | 'MONTH'
  groupBy: 'NONE' | 'MODEL' | 'AGENT' | 'SESSION' | 'USER'
  isAdmin: boolean
  userId: number | null
  sessionId: number | null
  agent: number | null
  model: string | null
}
export type Session = { id: string; user: string; agent: string | null }
export type World = { users: string[]; agents: string[]; sessions: Session[] }

export const rangeOf = ({ between }: Asked) => ({ from: Math.min(...between), to: Math.max(...between) })

/** A decimal number without the zeros at its end. */
export function decimal(units: bigint, places: number): string {
  const digits = units.toString().padStart(places + 1, '0')
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/\.?0+$/, '')
}

/** The part of an ISO stamp that tells the interval. */
const lengths = { HOUR: 13, DAY: 10, MONTH: 7 } as const
const rests = { HOUR: ':00:00.000Z', DAY: 'T00:00:00.000Z', MONTH: '-01T00:00:00.000Z' } as const

/** What `usage` answers, without the database. */
export function countByHand(
  world: World,
  { runs, messages }: { runs: readonly Run[]; messages: readonly Message[] },
  question: Asked,
) {
  const { interval, groupBy, isAdmin } = question
  const { from, to } = rangeOf(question)
  const startOf = (at: number) => new Date(at).toISOString().slice(0, lengths[interval]) + rests[interval]
  const starts = new Set<string>()
  const stepMs = interval === 'HOUR' ? 3_600_000 : 86_400_000
  for (let at = Date.parse(startOf(from)); at < to; at += stepMs) starts.add(startOf(at))
  if (starts.size > 1_000) return 'BAD_USER_INPUT'

  const entries = [
    ...runs.map((each) => ({
      each,
      message: null,
      at: each.at,
      SESSION: world.sessions[each.session]?.id ?? null,
      USER: world.users[each.user] ?? null,
      AGENT: each.agent === null ? null : (world.agents[each.agent] ?? null),
      MODEL: each.model as string | null,
      NONE: null,
    })),
    ...messages.map((each) => ({
      each: null,
      message: each,
      at: each.at,
      SESSION: world.sessions[each.session]?.id ?? null,
      USER: world.sessions[each.session]?.user ?? null,
      AGENT: (each.agent === null ? world.sessions[each.session]?.agent : world.agents[each.agent]) ?? null,
      MODEL: each.model,
      NONE: null,
    })),
  ].filter((entry) => {
    const user = isAdmin ? (question.userId === null ? null : world.users[question.userId]) : world.users[0]
    return (
      entry.at >= from &&
      entry.at < to &&
      (user === null || entry.USER === user) &&
      (question.sessionId === null || entry.SESSION === world.sessions[question.sessionId]?.id) &&
      (question.agent === null || entry.AGENT === world.agents[question.agent]) &&
      (question.model === null || entry.MODEL === question.model)
    )
  })
  const buckets = new Map<string, typeof entries>()
  if (groupBy === 'NONE') for (const start of starts) buckets.set(JSON.stringify([start, null]), [])
  for (const entry of entries) {
    const name = JSON.stringify([startOf(entry.at), entry[groupBy]])
    buckets.set(name, [...(buckets.get(name) ?? []), entry])
  }
  const counted = [...buckets].map(([name, inside]) => {
    const [start, key] = JSON.parse(name) as [string, string | null]
    const ended = inside.flatMap(({ each }) => each ?? [])
    const sum = (field: 'input' | 'output' | 'cached') =>
      ended.reduce((total, each) => total + each[field], 0)
    const waits = ended.flatMap(({ firstTokenMs }) => firstTokenMs ?? []).sort((a, b) => a - b)
    const percentile = (share: number) => waits[Math.ceil(share * waits.length) - 1] ?? null
    return {
      start,
      key,
      sessions: new Set(inside.flatMap(({ SESSION }) => SESSION ?? [])).size,
      messages: inside.filter(({ message: text }) => text).length,
      runs: ended.length,
      failures: ended.filter(({ status }) => status === 'FAILED' || status === 'INTERRUPTED').length,
      inputTokens: sum('input'),
      outputTokens: sum('output'),
      cachedInputTokens: sum('cached'),
      cost: decimal(
        ended.reduce((total, { nanodollars }) => total + nanodollars, 0n),
        9,
      ),
      timeToFirstTokenP50Ms: percentile(0.5),
      timeToFirstTokenP95Ms: percentile(0.95),
    }
  })
  const order = (a: string | null, b: string | null) =>
    a === b ? 0 : a === null || (b !== null && a < b) ? -1 : 1
  counted.sort((a, b) => order(a.start, b.start) || order(a.key, b.key))
  const types = { NONE: null, MODEL: null, AGENT: 'Agent', SESSION: 'Session', USER: 'User' } as const
  const type = types[groupBy]
  return counted.map((bucket) => ({
    ...bucket,
    key: bucket.key && type ? encodeId(type, bucket.key) : bucket.key,
  }))
}
