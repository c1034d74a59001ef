import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { anthropicEvents, googleEvents, ollamaEvents, openAiEvents } from './model-server-protocols.ts'

/** What the model says, in no vendor's words. */
export type ModelSpeech = {
  text?: readonly string[]
  thinking?: string
  /** `pieces` concatenate to the arguments as JSON. */
  toolCalls?: readonly { id: string; name: string; pieces: readonly string[] }[]
  usage?: { inputTokens: number; outputTokens: number; cachedInputTokens: number }
  finish?: 'stop' | 'length' | 'tool-calls' | 'content-filter'
}

/**
 * How the server answers one request. `speech` comes in the protocol of the path that was asked; `afterwards` tells what
 * follows the last delta: `end` the proper end, `close` the end of the response without it, `cut` a destroyed
 * socket, `hang` silence, `garbage` an event that is no JSON, `fault` the vendor's event for an overload,
 * `flood` an event that never ends.
 */
export type ModelAnswer =
  | {
      speech: ModelSpeech
      afterwards?: 'end' | 'close' | 'cut' | 'hang' | 'garbage' | 'fault' | 'flood'
      byteByByte?: boolean
    }
  | { status: number; headers?: Record<string, string>; body?: unknown }

export type ModelServerRequest = {
  method: string
  path: string
  headers: IncomingHttpHeaders
  /** Parsed JSON; undefined for a GET. */
  body: Record<string, unknown> | undefined
  /** Settles when the response is over; true where the client went away before its end. */
  isAborted: Promise<boolean>
}

export type ModelServer = {
  /** With the `/v1` at the end. */
  readonly url: string
  readonly requests: readonly ModelServerRequest[]
  /** Sets how the next requests are answered, in this order; a request without an answer is a 500. */
  answer(...answers: ModelAnswer[]): void
  /** Resolves with the next request that arrives. */
  nextRequest(): Promise<ModelServerRequest>
  close(): Promise<void>
}

/**
 * A local server that speaks the streaming protocols of OpenAI, Anthropic, Google and Ollama on a port of its own. With `listsModels` it
 * lists none whenever it is asked, which needs no answer and is not recorded: servers ask by themselves now and then.
 */
export async function createModelServer({ listsModels = false } = {}): Promise<ModelServer> {
  const answers: ModelAnswer[] = []
  const requests: ModelServerRequest[] = []
  const waiting: ((request: ModelServerRequest) => void)[] = []

  const server = createServer(async (incoming, response) => {
    if (listsModels && incoming.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[]}')
      return
    }
    const request = await record(incoming, response)
    requests.push(request)
    for (const resolve of waiting.splice(0)) resolve(request)
    const answer = answers.shift() ?? { status: 500, body: { error: { message: 'no answer was prepared' } } }
    if ('speech' in answer) await speak(request, response, answer)
    else {
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {}))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    answer: (...next) => {
      answers.push(...next)
    },
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function record(incoming: IncomingMessage, response: ServerResponse): Promise<ModelServerRequest> {
  const isAborted = once(response, 'close').then(() => !response.writableFinished)
  const body = await readText(incoming)
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    body: body === '' ? undefined : JSON.parse(body),
    isAborted,
  }
}

async function speak(
  request: ModelServerRequest,
  response: ServerResponse,
  { speech, afterwards = 'end', byteByByte = false }: Extract<ModelAnswer, { speech: ModelSpeech }>,
): Promise<void> {
  const events = eventsOf(request.path)(speech)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  await send(response, events.deltas.join(''), byteByByte)
  if (afterwards === 'end') await send(response, events.ending.join(''), byteByByte)
  if (afterwards === 'garbage') await send(response, 'data: {"choices": [{"delta"\n\n', false)
  if (afterwards === 'fault') await send(response, events.fault, false)
  if (afterwards === 'flood') await flood(response)
  if (afterwards === 'cut') response.destroy()
  else if (afterwards !== 'hang') response.end()
}

function eventsOf(path: string) {
  if (path.startsWith('/v1/messages')) return anthropicEvents
  if (path.startsWith('/v1/models/')) return googleEvents
  return path === '/v1/api/chat' ? ollamaEvents : openAiEvents
}

/** Until the reader has gone. */
async function flood(response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(1_048_576, 'x')
  const closed = new Promise((resolve) => response.once('close', resolve))
  response.write('data: ')
  while (!response.closed) {
    if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed])
  }
}

/** Waits for every write, so that each one is a chunk of its own on the wire. */
async function send(response: ServerResponse, text: string, byteByByte: boolean): Promise<void> {
  const bytes = Buffer.from(text)
  const size = byteByByte ? 1 : bytes.length
  for (let at = 0; at < bytes.length; at += size)
    await new Promise<void>((resolve) => response.write(bytes.subarray(at, at + size), () => resolve()))
}
