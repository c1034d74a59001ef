/** Subscriptions as the documentation of Yoga and graphql-ws leads to them, without authentication or limits. */
import { createServer } from 'node:http'
import type { ExecutionArgs } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { WebSocketServer } from 'ws'
import { serveControl } from '../control.ts'
import type { Delta } from '../dialects.ts'
import { createRooms, deltaOf } from './rooms.ts'

const pubSub = createPubSub<Record<string, [Delta]>>()
const schema = createSchema({
  typeDefs: `
    scalar Cursor
    type Query { ok: Boolean }
    interface SessionEvent { cursor: Cursor! }
    type TextDelta implements SessionEvent { cursor: Cursor! messageId: ID! offset: Int! text: String! }
    type Subscription { sessionEvents(sessionId: ID!, after: Cursor): SessionEvent! }
  `,
  resolvers: {
    Subscription: {
      sessionEvents: {
        subscribe: (_root: unknown, { sessionId }: { sessionId: string }) => pubSub.subscribe(sessionId),
        resolve: (delta: Delta) => delta,
      },
    },
  },
})

const yoga = createYoga({ schema, graphiql: false, logging: 'warn' })
const server = createServer(yoga)
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint })
type Bound = ExecutionArgs & {
  rootValue: { execute(args: ExecutionArgs): never; subscribe(args: ExecutionArgs): never }
}
useServer(
  {
    execute: (args) => (args as Bound).rootValue.execute(args),
    subscribe: (args) => (args as Bound).rootValue.subscribe(args),
    async onSubscribe(context, _id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      })
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length > 0 ? errors : args
    },
  },
  sockets,
)
server.listen(Number(process.env.PORT), '127.0.0.1')
serveControl(createRooms((room, offset, text) => pubSub.publish(room, deltaOf(offset, text))))
