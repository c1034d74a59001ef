import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { ollamaEvents } from './model-server-protocols.ts'

export type OllamaModel = {
  capabilities?: readonly string[]
  contextLength?: number
  /** As a model file has them: `num_ctx    8192`. */
  parameters?: string
}

/** A download that the test plays: each line is what Ollama writes of it. */
export type OllamaPull = {
  readonly model: string
  /** Settles when the response is over; true where the client went away before its end. */
  readonly isAborted: Promise<boolean>
  tell(line: Record<string, unknown>): void
  /** Tells of success and has the model from now on. */
  succeed(): void
  cut(): void
}

export type OllamaServer = {
  readonly url: string
  /** Method and path of every request, with the model that it names. */
  readonly requests: readonly string[]
  /** The bodies of `/api/generate` and `/api/chat`. */
  readonly bodies: readonly Record<string, unknown>[]
  /** Holds loads back from now on; the returned function lets them end. */
  holdLoads(): () => void
  add(name: string, model?: OllamaModel): void
  nextPull(): Promise<OllamaPull>
  close(): Promise<void>
}

/** A local server that speaks Ollama's API (docs/api.md of Ollama) as far as a client needs it, on a port of its own. */
export async function createOllamaServer(initial: Record<string, OllamaModel> = {}): Promise<OllamaServer> {
  const models = new Map<string, OllamaModel>(Object.entries(initial))
  const loaded = new Map<string, number>()
  const requests: string[] = []
  const bodies: Record<string, unknown>[] = []
  const pulls: OllamaPull[] = []
  const waiting: ((pull: OllamaPull) => void)[] = []
  let held: Promise<void> = Promise.resolve()

  const tagOf = (name: string) => ({
    name,
    model: name,
    modified_at: '2026-11-01T10:00:00Z',
    size: 4_000_000_000,
    digest: `sha256:${name}`,
    details: { format: 'gguf', family: 'llama', parameter_size: '8B', quantization_level: 'Q4_K_M' },
  })

  const routes: Record<string, (body: Record<string, unknown>, response: ServerResponse) => unknown> = {
    'GET /api/tags': () => ({ models: [...models.keys()].map(tagOf) }),
    'GET /api/ps': () => ({
      models: [...loaded].map(([name, context_length]) => ({
        ...tagOf(name),
        expires_at: '2318-01-01T00:00:00Z',
        size_vram: 4_000_000_000,
        context_length,
      })),
    }),
    'POST /api/show': ({ model }, response) => {
      const found = models.get(String(model))
      if (!found) return refuse(response, 404, `model '${model}' not found`)
      const { capabilities = ['completion'], contextLength = 131_072, parameters } = found
      return {
        ...(parameters && { parameters }),
        details: tagOf('').details,
        model_info: { 'general.architecture': 'llama', 'llama.context_length': contextLength },
        capabilities,
      }
    },
    'POST /api/generate': async (body, response) => {
      bodies.push(body)
      const { model, keep_alive } = body
      const found = models.get(String(model))
      if (!found) return refuse(response, 404, `model '${model}' not found`)
      if (keep_alive === 0) loaded.delete(String(model))
      else {
        await held
        loaded.set(String(model), 8_192)
      }
      const done_reason = keep_alive === 0 ? 'unload' : 'load'
      return { model, created_at: '2026-11-01T10:00:00Z', response: '', done: true, done_reason }
    },
    'POST /api/pull': ({ model }, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      response.flushHeaders()
      const tell = (line: object) => void response.write(`${JSON.stringify(line)}\n`)
      tell({ status: 'pulling manifest' })
      const pull: OllamaPull = {
        model: String(model),
        isAborted: once(response, 'close').then(() => !response.writableFinished),
        tell,
        succeed() {
          models.set(String(model), {})
          response.end(`${JSON.stringify({ status: 'success' })}\n`)
        },
        cut: () => response.destroy(),
      }
      const next = waiting.shift()
      if (next) next(pull)
      else pulls.push(pull)
    },
    'POST /api/chat': (body, response) => {
      bodies.push(body)
      const { deltas, ending } = ollamaEvents({ text: ['It is ', 'cold.'] })
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      response.end([...deltas, ...ending].join(''))
    },
  }

  const server = createServer(async (incoming, response) => {
    const body = await read(incoming)
    const route = `${incoming.method} ${incoming.url}`
    requests.push(body.model === undefined ? route : `${route} ${body.model}`)
    const answer = await (routes[route] ?? (() => refuse(response, 404, 'not found')))(body, response)
    if (response.headersSent) return
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    bodies,
    holdLoads() {
      let release = () => {}
      held = new Promise((resolve) => {
        release = resolve
      })
      return () => release()
    },
    add: (name, model = {}) => void models.set(name, model),
    nextPull: async () => pulls.shift() ?? new Promise((resolve) => waiting.push(resolve)),
    async close() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function refuse(response: ServerResponse, status: number, error: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error }))
}

async function read(incoming: IncomingMessage): Promise<Record<string, unknown>> {
  const text = await readText(incoming)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}
