/** Mercurius with its JIT over hand-written SQL: the quickest of the known GraphQL servers on this work. */
import fastify from 'fastify'
import mercurius from 'mercurius'
import { benchTenant } from './peer.ts'
import {
  addMessage,
  ask,
  latestMessages,
  listSessions,
  type PeerSession,
  readSession,
  sessionNode,
} from './statements.ts'

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
  type Query { sessions(userId: ID!): SessionConnection! session(id: ID!): Session }
  type Mutation { addMessage(sessionId: ID!, content: String!): Message! }
`

const app = fastify()
app.register(mercurius, {
  schema,
  jit: 1,
  resolvers: {
    Query: {
      sessions: async (_root: unknown, { userId }: { userId: string }) => {
        const rows = await ask<PeerSession>(listSessions, [benchTenant, userId])
        const nodes = rows.slice(0, 10).map(sessionNode)
        return { nodes, pageInfo: { hasNextPage: rows.length > 10 }, totalCount: rows[0]?.total ?? 0 }
      },
      session: async (_root: unknown, { id }: { id: string }) => {
        const [row] = await ask<PeerSession>(readSession, [benchTenant, id])
        return row && sessionNode(row)
      },
    },
    Mutation: {
      addMessage: async (_root: unknown, { sessionId, content }: { sessionId: string; content: string }) =>
        (await ask(addMessage, [benchTenant, sessionId, content]))[0],
    },
  },
  loaders: {
    Session: {
      async messages(queries: { obj: { id: string }; params: { last: number } }[]) {
        const ids = queries.map(({ obj }) => obj.id)
        const rows = await ask<{ sessionId: string }>(latestMessages, [
          benchTenant,
          ids,
          queries[0]?.params.last,
        ])
        const grouped = Map.groupBy(rows, ({ sessionId }) => sessionId)
        return ids.map((id) => grouped.get(id) ?? [])
      },
    },
  },
})
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
process.stdout.write('ready\n')
