import { schema } from '../../src/schema.ts'
import type { Answer } from '../support/api.ts'
import type { TestApp } from '../support/app.ts'
import { type Frames, openFrames } from '../support/frames.ts'
import { createOperations, type Operation, spoilt } from './operations.ts'
import type { Random } from './random.ts'
import { anything } from './values.ts'

export type Finding = { door: string; what: string; sent: unknown; got: unknown }
export type Outcome = { asked: number; answered: number; findings: Finding[] }

type Options = { app: TestApp; random: Random; ids: readonly string[]; canary: string; seconds: number }

/** What only the inside of the server knows. */
const inside =
  /node_modules|\/src\/|\.ts:\d|\bSELECT |\bINSERT INTO|parley_app|parley_system|PrismaClient|ECONNREFUSED/
/** Ways for a socket to end that are the fault of who sent something. */
const fairCloseCodes = new Set([1002, 1005, 1007, 1009, 1013, 4400, 4401, 4403, 4409, 4429])
const answeredWithinMs = 20_000
const keptOperations = 500
/** Undefined is what clients send that say nothing. */
const accepts = [
  'application/json',
  'application/graphql-response+json',
  'text/event-stream',
  'Text/*;q=0.5',
  '*/*',
  'text/event-stream;q=0, */*',
  'multipart/mixed',
  undefined,
]
/** An address beyond that is refused by its length. */
const addressMaxLength = 8_000
const identities = [
  { user: 'fuzz-user', tenant: 'fuzz', role: 'USER' },
  { user: 'fuzz-admin', tenant: 'fuzz', role: 'ADMIN' },
  { user: 'fuzz-robot', tenant: 'fuzz', role: 'SERVICE' },
] as const

/** Asks until the time is over, and tells whatever must not be: faults of the server, words of the inside, canaries. */
export async function fuzz({ app, random, ids, canary, seconds }: Options): Promise<Outcome> {
  const make = createOperations(schema, random, ids)
  const latest: Operation[] = []
  const operation = () => {
    const made = make()
    latest.push(made)
    if (latest.length > keptOperations) latest.shift()
    return made
  }
  const findings: Finding[] = []
  // Of an operation it knows the path, whose first alias is in that one alone.
  const hear = (failure: Error & { path?: readonly string[] }) => {
    const [alias = ''] = failure.path ?? []
    const sent = latest.filter(({ query }) => query.includes(alias))
    findings.push({ door: 'process', what: 'a failure that nobody waited for', sent, got: String(failure) })
  }
  let asked = 0
  let answered = 0
  const endsAt = performance.now() + seconds * 1_000

  function judge(door: string, sent: unknown, got: unknown) {
    const text = typeof got === 'string' ? got : JSON.stringify(got)
    if (text.includes('INTERNAL_SERVER_ERROR'))
      findings.push({ door, what: 'a fault of the server', sent, got })
    if (text.includes(canary)) findings.push({ door, what: "another tenant's words", sent, got })
    if (inside.test(text)) findings.push({ door, what: 'words of the inside', sent, got })
  }

  async function overHttp(sent: Operation, token: string) {
    const { query, variables } = sent
    const search = new URLSearchParams({ query, variables: spoilt(JSON.stringify(variables), random) })
    const byGet =
      random.chance(sent.type === 'mutation' ? 0.05 : 0.25) && `${search}`.length < addressMaxLength
    const door = byGet ? 'get' : random.pick(['http', 'yoga'])
    const more = door === 'yoga' ? { extensions: {} } : {}
    const body = byGet ? undefined : spoilt(JSON.stringify({ query, variables, ...more }), random)
    const usual = sent.type === 'subscription' ? 'text/event-stream' : 'application/json'
    const accept = random.chance(0.6) ? usual : random.pick(accepts)
    const ending = new AbortController()
    const late = setTimeout(() => ending.abort(), answeredWithinMs)
    try {
      const response = await fetch(`${app.url}/graphql${byGet ? `?${search}` : ''}`, {
        method: byGet ? 'GET' : 'POST',
        headers: {
          'content-type': 'application/json',
          ...(accept === undefined ? {} : { accept }),
          authorization: `Bearer ${token}`,
        },
        signal: ending.signal,
        ...(body === undefined ? {} : { body }),
      })
      if (response.status >= 500) findings.push({ door, what: `HTTP ${response.status}`, sent, got: null })
      const type = response.headers.get('content-type') ?? ''
      if (type.startsWith('text/event-stream')) {
        const first = await response.body?.getReader().read()
        const events = Buffer.from(first?.value ?? []).toString()
        judge(door, sent, events)
        if (events.includes('"data":{')) answered += 1
        return
      }
      const text = await response.text()
      judge(door, sent, text)
      // One that is taken as several parts is none to read here, and where none is taken there may be none.
      if (type.startsWith('multipart/') || (text === '' && response.status === 406)) return
      if ((JSON.parse(text) as Answer).data) answered += 1
    } catch (error) {
      // One of the operations beside it may have revoked the token, which ends streams without a word.
      if (sent.type === 'subscription' && (await isRevoked(token))) return
      findings.push({ door, what: `no answer: ${error}`, sent, got: null })
    } finally {
      clearTimeout(late)
      ending.abort()
    }
  }

  async function isRevoked(token: string) {
    const headers = { authorization: `Bearer ${token}` }
    return (await fetch(`${app.url}/graphql?query={viewer{role}}`, { headers })).status === 401
  }

  /** Several operations and odd frames at once on one socket; it may only be closed for a fault of the sender. */
  async function overSocket(token: string) {
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${token}` } })
    const sent: unknown[] = []
    for (let count = 0; count < 5; count += 1) {
      const frame = random.chance(0.9) ? subscribeFrame(count) : oddFrame()
      sent.push(frame)
      frames.send(spoilt(JSON.stringify(frame), random))
      if (random.chance(0.3)) frames.send({ id: `f${count}`, type: 'complete' })
    }
    frames.send({ type: 'ping' })
    await Promise.race([frames.until(({ type }) => type === 'pong').catch(() => {}), frames.closed])
    await finish(frames, sent)
  }

  const subscribeFrame = (count: number) => {
    const { query, variables } = operation()
    asked += 1
    return { id: `f${count}`, type: 'subscribe', payload: { query, variables } }
  }
  const oddFrame = () => ({
    ...(random.chance(0.7) ? { id: anything(random, 1) } : {}),
    type: random.pick(['subscribe', 'complete', 'ping', 'pong', 'next', 'error', 'connection_init', 'x']),
    payload: anything(random),
  })

  async function finish(frames: Frames, sent: unknown[]) {
    frames.socket.close()
    const { code } = await frames.closed
    if (!fairCloseCodes.has(code))
      findings.push({ door: 'websocket', what: `closed with ${code}`, sent, got: null })
    for (const frame of frames.received) judge('websocket', sent, frame)
    answered += frames.received.filter(({ type, payload }) => type === 'next' && payload?.data).length
  }

  process.on('unhandledRejection', hear)
  while (performance.now() < endsAt && findings.length < 5) {
    // A new token each time: one of the operations revokes them.
    const token = app.token(random.pick(identities))
    const requests = Array.from({ length: 6 }, () => operation())
    asked += requests.length
    await Promise.all([
      ...requests.map((request) => overHttp(request, token)),
      overSocket(token).catch(unlessRefused),
    ])
  }
  process.off('unhandledRejection', hear)
  return { asked, answered, findings }
}

/** A token that was revoked in the same second opens no socket. */
function unlessRefused(error: unknown) {
  if (!String(error).includes('closed first')) throw error
}
