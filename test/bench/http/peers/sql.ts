/** The bound: prepared statements by hand over node:http, one for each request but two that go together, no GraphQL. */
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { benchTenant, listenAsPeer } from './peer.ts'
import { ask } from './pool.ts'

type Body = { work: 'Q1' | 'Q2' | 'Q3' | 'M1'; userId: string; sessionId: string; content: string }
type Session = { id: string; agent: string | null; total?: number }

const session = `s.id, s.title, s.message_count AS "messageCount", s.created_at AS "createdAt",
  s.updated_at AS "updatedAt", a.name AS agent`
const sessions = 'sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id'
const message = 'm.id, m.seq, m.role, m.content, m.created_at AS "createdAt"'
const ofUser = 's.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL'
const latest = 'ORDER BY s.last_message_at DESC, s.id DESC'

const listCounted = `SELECT ${session}, (SELECT count(*)::int FROM sessions s WHERE ${ofUser}) AS total
  FROM ${sessions} WHERE ${ofUser} ${latest} LIMIT 11`
const list = `SELECT ${session} FROM ${sessions} WHERE ${ofUser} ${latest} LIMIT 10`
const read = `SELECT ${session} FROM ${sessions} WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL`
const messagesOfOne = `SELECT ${message} FROM messages m
  WHERE m.tenant_id = $1 AND m.session_id = $2 ORDER BY m.seq DESC LIMIT 50`
const messagesOfMany = `SELECT m.session_id AS "sessionId", ${message}
  FROM unnest($2::uuid[]) AS wanted(id), LATERAL (SELECT * FROM messages
    WHERE tenant_id = $1 AND session_id = wanted.id ORDER BY seq DESC LIMIT 3) m`
const add = `WITH s AS (UPDATE sessions SET message_count = message_count + 1, last_seq = last_seq + 1,
    last_message_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE tenant_id = $1 AND id = $2 RETURNING last_seq)
  INSERT INTO messages AS m (tenant_id, id, session_id, seq, role, content)
  SELECT $1, gen_random_uuid(), $2, last_seq, 'USER', $3 FROM s RETURNING ${message}`

const node = ({ total: _total, agent, ...row }: Session) => ({ ...row, agent: agent && { name: agent } })

const work: Record<Body['work'], (body: Body) => Promise<unknown>> = {
  async Q1({ userId }) {
    const rows = await ask<Session>('list-counted', listCounted, [benchTenant, userId])
    const nodes = rows.slice(0, 10).map(node)
    const pageInfo = { hasNextPage: rows.length > 10 }
    return { sessions: { nodes, pageInfo, totalCount: rows[0]?.total ?? 0 } }
  },
  async Q2({ sessionId }) {
    const values = [benchTenant, sessionId]
    const [[row], messages] = await Promise.all([
      ask<Session>('read', read, values),
      ask('messages-of-one', messagesOfOne, values),
    ])
    return { session: row ? { ...node(row), messages: messages.reverse() } : null }
  },
  async Q3({ userId }) {
    const rows = await ask<Session>('list', list, [benchTenant, userId])
    const ids = rows.map(({ id }) => id)
    const messages = new Map<string, unknown[]>(ids.map((id) => [id, []]))
    const found = await ask<{ sessionId: string }>('messages-of-many', messagesOfMany, [benchTenant, ids])
    for (const { sessionId, ...message } of found) messages.get(sessionId)?.unshift(message)
    return { sessions: { nodes: rows.map((row) => ({ ...node(row), messages: messages.get(row.id) })) } }
  },
  async M1({ sessionId, content }) {
    const [addMessage] = await ask('add', add, [benchTenant, sessionId, content])
    return { addMessage }
  },
}

listenAsPeer(
  createServer(async (request, response) => {
    const body = (await json(request)) as Body
    const text = JSON.stringify({ data: await work[body.work](body) })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
  }),
)
