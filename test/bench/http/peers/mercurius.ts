/**
 * Mercurius with its JIT as its users write it: resolvers with prepared statements, a statement for each thing that is
 * asked for, loaders for what hangs on the rows of a list, a transaction for a write. No authentication, no limits.
 */
import fastify from 'fastify'
import mercurius from 'mercurius'
import { benchTenant } from './peer.ts'
import { ask, pool } from './pool.ts'

const schema = `
  scalar DateTime
  type Agent { name: String! }
  type Message { id: ID! seq: Int! role: String! content: String createdAt: DateTime! }
  type Session {
    id: ID! title: String messageCount: Int! createdAt: DateTime! updatedAt: DateTime! agent: Agent
    messages(last: Int!): [Message!]!
  }
  type PageInfo { hasNextPage: Boolean! }
  type SessionConnection { nodes: [Session!]! pageInfo: PageInfo! totalCount: Int! }
  type Query { sessions(userId: ID!, first: Int!): SessionConnection! session(id: ID!): Session }
  type Mutation { addMessage(sessionId: ID!, content: String!): Message! }
`

type Session = { id: string; agentId: string | null }
type Agent = { id: string; name: string }

const session = `id, title, message_count AS "messageCount", created_at AS "createdAt", updated_at AS "updatedAt",
  agent_id AS "agentId"`
const message = 'id, seq, role, content, created_at AS "createdAt"'
const ofUser = 'tenant_id = $1 AND user_id = $2 AND deleted_at IS NULL'

const list = `SELECT ${session} FROM sessions WHERE ${ofUser} ORDER BY last_message_at DESC, id DESC LIMIT $3`
const count = `SELECT count(*)::int AS count FROM sessions WHERE ${ofUser}`
const read = `SELECT ${session} FROM sessions WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL`
const agentsOf = 'SELECT id, name FROM agents WHERE tenant_id = $1 AND id = ANY($2)'
const messagesOf = `SELECT wanted.id AS "sessionId", m.* FROM unnest($2::uuid[]) AS wanted(id), LATERAL (
    SELECT ${message} FROM messages WHERE tenant_id = $1 AND session_id = wanted.id ORDER BY seq DESC LIMIT $3) m`
const bump = `UPDATE sessions SET message_count = message_count + 1, last_seq = last_seq + 1, last_message_at = now(),
  updated_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING last_seq AS seq`
const insert = `INSERT INTO messages (tenant_id, id, session_id, seq, role, content)
  VALUES ($1, gen_random_uuid(), $2, $3, 'USER', $4) RETURNING ${message}`

async function addMessage(_root: unknown, { sessionId, content }: { sessionId: string; content: string }) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const [bumped] = (await client.query({ name: 'bump', text: bump, values: [benchTenant, sessionId] })).rows
    const values = [benchTenant, sessionId, bumped.seq, content]
    const { rows } = await client.query({ name: 'insert', text: insert, values })
    await client.query('COMMIT')
    return rows[0]
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

const app = fastify()
app.register(mercurius, {
  schema,
  jit: 1,
  resolvers: {
    Query: {
      sessions: async (_root: unknown, { userId, first }: { userId: string; first: number }) => {
        const rows = await ask<Session>('list', list, [benchTenant, userId, first + 1])
        return { userId, nodes: rows.slice(0, first), pageInfo: { hasNextPage: rows.length > first } }
      },
      session: async (_root: unknown, { id }: { id: string }) =>
        (await ask<Session>('read', read, [benchTenant, id]))[0],
    },
    SessionConnection: {
      totalCount: async ({ userId }: { userId: string }) =>
        (await ask<{ count: number }>('count', count, [benchTenant, userId]))[0]?.count,
    },
    Mutation: { addMessage },
  },
  loaders: {
    Session: {
      async agent(queries: { obj: Session }[]) {
        const ids = [...new Set(queries.map(({ obj }) => obj.agentId))]
        const agents = await ask<Agent>('agents', agentsOf, [benchTenant, ids])
        const byId = new Map(agents.map((agent) => [agent.id, agent]))
        return queries.map(({ obj }) => byId.get(obj.agentId ?? '') ?? null)
      },
      async messages(queries: { obj: Session; params: { last: number } }[]) {
        const ids = queries.map(({ obj }) => obj.id)
        const values = [benchTenant, ids, queries[0]?.params.last]
        const messages = new Map<string, unknown[]>(ids.map((id) => [id, []]))
        const rows = await ask<{ sessionId: string }>('messages', messagesOf, values)
        for (const row of rows) messages.get(row.sessionId)?.unshift(row)
        return ids.map((id) => messages.get(id))
      },
    },
  },
})
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
process.stdout.write('ready\n')
