/** What one client follows, and who it is. */
export type Opening = {
  stream: string
  token: string
  /** The cursor to go on from. */
  after?: string | null
  /** How many times it subscribes; once, if nothing is said. */
  times?: number
}

type Step = { send?: readonly string[]; isLive?: boolean; fault?: string }

/** How a server is spoken to, from the upgrade to the first delivery. */
export type Dialect = {
  path: string
  protocol?: string
  converse(opening: Opening): { start(): Step; take(text: string): Step }
}

export const liveQuery = `subscription Live($sessionId: ID!, $after: Cursor) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename
    cursor
    ... on TextDelta { messageId offset text }
  }
}`

/** A delivery as `liveQuery` gives it. */
export type Delta = {
  __typename: 'TextDelta'
  cursor: string
  messageId: string
  offset: number
  text: string
}

/** The bytes around a delivery in the graphql-transport-ws protocol. */
export const nextMessage = (id: string, delta: Delta) => ({
  id,
  type: 'next',
  payload: { data: { sessionEvents: delta } },
})

export const subscriptionId = '1'

/** `tellsStart`: the server sends something when a subscription without a cursor has begun. */
const graphql = (tellsStart: boolean): Dialect => ({
  path: '/graphql',
  protocol: 'graphql-transport-ws',
  converse({ stream, token, after = null, times = 1 }) {
    let started = 0
    const subscribe = (id: string) =>
      JSON.stringify({
        id,
        type: 'subscribe',
        payload: { query: liveQuery, variables: { sessionId: stream, after } },
      })
    const subscriptions = Array.from({ length: times }, (_, index) => subscribe(String(index + 1)))
    const isLiveAtOnce = after !== null || !tellsStart
    return {
      start: () => ({
        send: [JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })],
      }),
      take(text) {
        if (text.startsWith('{"type":"connection_ack"')) return { send: subscriptions, isLive: isLiveAtOnce }
        if (text.startsWith('{"type":"ping"')) return { send: ['{"type":"pong"}'] }
        if (/"type":"(error|complete)"|"errors":/.test(text)) return { fault: text.slice(0, 300) }
        if (text.includes('"SessionSnapshot"')) started += 1
        return { isLive: started === times }
      },
    }
  },
})

const raw: Dialect = {
  path: '/',
  converse: ({ stream }) => ({
    start: () => ({ send: [JSON.stringify({ subscribe: stream })], isLive: true }),
    take: () => ({}),
  }),
}

const socketIo: Dialect = {
  path: '/socket.io/?EIO=4&transport=websocket',
  converse: ({ stream }) => ({
    start: () => ({}),
    take(text) {
      if (text.startsWith('0')) return { send: ['40'] }
      if (text.startsWith('40')) return { send: [`42${JSON.stringify(['subscribe', stream])}`], isLive: true }
      if (text === '2') return { send: ['3'] }
      return text.startsWith('44') ? { fault: text.slice(0, 300) } : {}
    },
  }),
}

export const dialects = { raw, socketIo, plain: graphql(false), parley: graphql(true) }
