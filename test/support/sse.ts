import { createWatch, type Watch } from './watch.ts'

export type EventStream = Watch & {
  /** Cuts the connection without a word. */
  cut(): void
  /** Resolves to the answer's head, or fails where there is none. */
  readonly response: Promise<Response>
  /** How many comments came: one as it was opened, the others are signs of life. */
  readonly comments: number
}

/**
 * A subscription over server-sent events, as `fetch` reads them; events are the value of the one root field. `beside`: what
 * more stands in its headers and its body.
 */
export function openEventStream(
  url: string,
  token: string | null,
  query: string,
  variables?: Record<string, unknown>,
  beside: { headers?: Record<string, string>; body?: object } = {},
): EventStream {
  const aborting = new AbortController()
  const cut = () => aborting.abort()
  const { watch, take, fail, end } = createWatch(cut)
  const response = fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...beside.headers,
    },
    body: JSON.stringify({ query, variables, ...beside.body }),
    signal: aborting.signal,
  })
  let comments = 0
  const read = async () => {
    const { body } = await response
    let rest = ''
    for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const { name, data } of blocks.map(readBlock)) {
        if (name === 'next') take(JSON.parse(data))
        else if (name === 'complete') end()
        else comments += 1
      }
    }
  }
  read().catch(fail)
  const stream = Object.assign(watch, { cut, response })
  return Object.defineProperty(stream, 'comments', { get: () => comments }) as EventStream
}

/** One event of a text/event-stream; `name` is empty for a comment, such as a sign of life. */
export function readBlock(block: string): { name: string; data: string } {
  const lines = block.split('\n')
  const field = (name: string) =>
    lines
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim())
      .join('\n')
  return { name: field('event'), data: field('data') }
}
