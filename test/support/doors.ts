import { randomUUID } from 'node:crypto'
import type { Answer } from './api.ts'
import { type Frames, openFrames } from './frames.ts'

/** Sends an operation; of a subscription it gives the first result, or null where it ends without any. */
export type Door = (query: string, variables?: Record<string, unknown>) => Promise<Answer | null>

/** `yoga` is HTTP with a request that the compiled short way leaves to the GraphQL server. */
export const doorNames = ['http', 'yoga', 'websocket'] as const

/** The doors of the API as one caller sees them. Subscriptions over HTTP come as server-sent events. */
export async function openDoors(
  url: string,
  token: string,
): Promise<Record<(typeof doorNames)[number], Door> & { close(): void }> {
  const frames = await openFrames(url, { params: { authorization: `Bearer ${token}` } })
  return {
    http: (query, variables) => overHttp(url, token, { query, variables }),
    yoga: (query, variables) => overHttp(url, token, { query, variables, extensions: {} }),
    websocket: (query, variables) => overFrames(frames, query, variables),
    close: () => frames.socket.terminate(),
  }
}

async function overHttp(url: string, token: string, request: { query: string } & Record<string, unknown>) {
  const isSubscription = /^\s*subscription\b/.test(request.query)
  const ending = new AbortController()
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: isSubscription ? 'text/event-stream' : 'application/json',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify(request),
    signal: ending.signal,
  })
  if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
    return (await response.json()) as Answer
  try {
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      const [, event, data = ''] = /^event: (\w+)\ndata: ?(.*)\n/m.exec(text) ?? []
      if (event) return event === 'next' ? (JSON.parse(data) as Answer) : null
    }
    return null
  } finally {
    ending.abort()
  }
}

async function overFrames(frames: Frames, query: string, variables?: Record<string, unknown>) {
  const id = randomUUID()
  frames.subscribe(id, query, variables)
  const { type, payload } = await frames.until((frame) => frame.id === id)
  if (type === 'next') frames.send({ id, type: 'complete' })
  if (type === 'complete') return null
  return (type === 'error' ? { errors: payload } : payload) as Answer
}
