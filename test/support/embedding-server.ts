import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

export type EmbeddingServer = {
  /** With the `/v1` at the end. */
  readonly url: string
  /** The texts of each request so far. */
  readonly requests: readonly (readonly string[])[]
  /** How the next requests are answered: with a status, or again with vectors where it is null. */
  fail(status: number | null): void
  /** The connection of the next request is cut, as by a server that closes it for idleness at that moment. */
  cut(): void
  close(): Promise<void>
}

/** A local server that speaks OpenAI's protocol for embeddings, with vectors that `embed` makes. */
export async function createEmbeddingServer(embed: (text: string) => number[]): Promise<EmbeddingServer> {
  const requests: string[][] = []
  let failure: number | null = null
  let isCutting = false
  const server = createServer(async (incoming, response) => {
    // Its models are listed, too; nobody needs to know them.
    if (incoming.method === 'GET') return response.end('{"object":"list","data":[]}')
    if (isCutting) {
      isCutting = false
      return incoming.socket.destroy()
    }
    const { input } = (await json(incoming)) as { input: string | string[] }
    const texts = [input].flat()
    requests.push(texts)
    response.writeHead(failure ?? 200, { 'content-type': 'application/json' })
    if (failure !== null) return response.end('{"error":{"message":"no vectors now"}}')
    const data = texts.map((text, index) => ({ object: 'embedding', index, embedding: embed(text) }))
    const usage = { prompt_tokens: 1, total_tokens: 1 }
    return response.end(JSON.stringify({ object: 'list', data, model: 'test', usage }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    fail: (status) => {
      failure = status
    },
    cut: () => {
      isCutting = true
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/**
 * A model in small: a text points where its words do, and words of one meaning point the same way. `meanings` are lists
 * of such words; other words point somewhere by their letters.
 */
export function embedByMeaning(meanings: readonly (readonly string[])[]): (text: string) => number[] {
  const places = new Map(meanings.flatMap((words, place) => words.map((word) => [word, place] as const)))
  const others = 64
  return (text) => {
    const vector = new Array<number>(meanings.length + others).fill(0)
    vector[meanings.length] = 0.01
    for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
      const place = places.get(word)
      if (place === undefined) {
        const letters = [...word].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9_973, 7)
        add(vector, meanings.length + (letters % others), 0.1)
      } else add(vector, place, 1)
    }
    return vector
  }
}

function add(vector: number[], place: number, weight: number) {
  vector[place] = (vector[place] ?? 0) + weight
}
