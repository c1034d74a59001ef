import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A model on the other side of the network, in the protocol of OpenAI's chat completions. A question says how it is to
 * be answered: `<key> words=40 pace=10`; with `busy=1`, the first call for it is told to come again. It keeps account of
 * every call.
 */
export type FaultModel = {
  /** Where this node asks, with the `/v1` at the end. */
  url(node: number): string
  readonly calls: readonly ModelCall[]
  close(): Promise<void>
}

export type ModelCall = {
  key: string
  node: number
  startedAtMs: number
  endedAtMs: number | null
  /** How many words were sent. */
  words: number
  isAborted: boolean
}

export const question = (key: string, words: number, paceMs: number) => `${key} words=${words} pace=${paceMs}`

/** What the model answers to a question; a prefix of it where the reply was stopped. */
export const answerTo = (key: string, words: number) =>
  Array.from({ length: words }, (_, index) => wordOf(key, index)).join('')

// Characters of one, two and four bytes: offsets count UTF-16 units.
const wordOf = (key: string, index: number) => `${key}:${index}${index % 7 === 0 ? ' 🙂 ' : ' é '}`

const questionForm = /^(\S+) words=(\d+) pace=(\d+)(?: busy=(\d+))?$/

export async function createFaultModel(): Promise<FaultModel> {
  const calls: ModelCall[] = []
  const server = createServer(async (request, response) => {
    // Nodes list models by themselves, which is no call of one.
    if (request.method === 'GET') return response.end('{"object":"list","data":[]}')
    const { messages } = JSON.parse(await readText(request)) as {
      messages: { role: string; content: unknown }[]
    }
    const last = messages.findLast(({ role }) => role === 'user')?.content
    const asked = typeof last === 'string' ? last : (last as { text: string }[])[0]?.text
    const [, key = '', words, pace, busy = 0] = questionForm.exec(asked ?? '') ?? []
    const call: ModelCall = {
      key,
      node: Number(request.url?.split('/')[1]),
      startedAtMs: performance.now(),
      endedAtMs: null,
      words: 0,
      isAborted: false,
    }
    calls.push(call)
    if (calls.filter((other) => other.key === key).length <= Number(busy)) {
      response.writeHead(503, { 'retry-after': '1' }).end()
      call.endedAtMs = performance.now()
      return
    }
    await speak(response, call, Number(words), Number(pace)).catch(() => {})
    call.endedAtMs = performance.now()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: (node) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${node}/v1`,
    calls,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function speak(
  response: ServerResponse,
  call: ModelCall,
  words: number,
  paceMs: number,
): Promise<void> {
  response.on('close', () => {
    call.isAborted = !response.writableFinished
  })
  const chunk = (delta: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(chunk({ role: 'assistant', content: '' }))
  for (let index = 0; index < words && !response.destroyed; index += 1) {
    response.write(chunk({ content: wordOf(call.key, index) }))
    call.words += 1
    if (paceMs > 0) await sleep(paceMs)
  }
  response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`)
}
