/** The bound: one prepared statement per request over node:http, and JSON.stringify. No GraphQL at all. */
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { benchTenant, listenAsPeer } from './peer.ts'
import {
  addMessage,
  ask,
  latestMessages,
  listSessions,
  type PeerSession,
  readSession,
  sessionNode,
} from './statements.ts'

type Body = { work: 'Q1' | 'Q2' | 'Q3' | 'M1'; userId: string; sessionId: string; content: string }

const work: Record<Body['work'], (body: Body) => Promise<unknown>> = {
  async Q1({ userId }) {
    const rows = await ask<PeerSession>(listSessions, [benchTenant, userId])
    return {
      nodes: rows.slice(0, 10).map(sessionNode),
      hasNextPage: rows.length > 10,
      totalCount: rows[0]?.total,
    }
  },
  async Q2({ sessionId }) {
    const [[session], messages] = await Promise.all([
      ask<PeerSession>(readSession, [benchTenant, sessionId]),
      ask(latestMessages, [benchTenant, [sessionId], 50]),
    ])
    return session && { ...sessionNode(session), messages }
  },
  async Q3({ userId }) {
    const rows = (await ask<PeerSession>(listSessions, [benchTenant, userId])).slice(0, 10)
    const messages = await ask<{ sessionId: string }>(latestMessages, [
      benchTenant,
      rows.map(({ id }) => id),
      3,
    ])
    const grouped = Map.groupBy(messages, ({ sessionId }) => sessionId)
    return { nodes: rows.map((row) => ({ ...sessionNode(row), messages: grouped.get(row.id) })) }
  },
  async M1({ sessionId, content }) {
    const [message] = await ask(addMessage, [benchTenant, sessionId, content])
    return message
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
