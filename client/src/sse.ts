import type { Credentials } from './credentials.ts'
import { ParleyError } from './errors.ts'
import { dataOf, type Post } from './http.ts'
import type { Transport } from './transport.ts'

/** The server sends something every 12 s, if only a comment. */
const silenceAtMostMs = 30_000

/** Subscriptions as server-sent events: one request each. */
export function createSseTransport(post: Post, credentials: Credentials): Transport {
  const open = new Set<AbortController>()
  return {
    async *open(request, { signal, onOpen }) {
      const cutting = new AbortController()
      open.add(cutting)
      const either = AbortSignal.any([signal, cutting.signal])
      const lost = (cause?: unknown) => {
        signal.throwIfAborted()
        // It may be since the token has expired.
        credentials.forget()
        return new ParleyError('NETWORK', 'The event stream was cut off.', { cause })
      }
      let timer: ReturnType<typeof setTimeout> | undefined
      const hear = () => {
        clearTimeout(timer)
        timer = setTimeout(() => cutting.abort(), silenceAtMostMs)
      }
      try {
        hear()
        const response = await post(request, 'text/event-stream', either)
        if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
          await dataOf(response, either)
          throw lost()
        }
        onOpen()
        for await (const { name, data } of eventsOf(response, hear)) {
          if (name === 'next') yield JSON.parse(data)
          else if (name === 'complete') return
        }
        // A stream that ends without its `complete` was cut off.
        throw lost()
      } catch (error) {
        if (error instanceof ParleyError) throw error
        throw lost(error)
      } finally {
        clearTimeout(timer)
        open.delete(cutting)
        cutting.abort()
      }
    },
    terminate() {
      for (const cutting of open) cutting.abort()
    },
    close() {},
  }
}

async function* eventsOf({ body }: Response, hear: () => void) {
  if (!body) return
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    hear()
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop() ?? ''
    yield* blocks.map(readEvent)
  }
}

const readEvent = (block: string) => {
  const field = (name: string) =>
    block
      .split('\n')
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trimStart())
      .join('\n')
  return { name: field('event'), data: field('data') }
}
