import { createClient } from 'graphql-ws'

/** All that the examples share: how to ask, how to listen, and how to talk. */
export type Parley = {
  /** Gives the one root field of a query or mutation; throws on every failure, those that are told as data too. */
  ask<T>(query: string, variables?: Record<string, unknown>): Promise<T>
  /** The events of a subscription, of its one root field. */
  listen<T>(query: string, variables?: Record<string, unknown>): AsyncGenerator<T>
  /** Sends a message, and gives the reply when it is whole. */
  send(sessionId: string, content: string, clientId?: string): Promise<Reply>
  close(): Promise<void>
}

export type Reply = { id: string; content: string; status: string; citations: Citation[] }
export type Citation = { marker: number; isCited: boolean; document: { title: string } | null }
type Failure = { code: string; message: string }

const sendMessage = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    ... on SendMessagePayload {
      assistantMessage { id content status citations { marker isCited document { title } } }
      run { error { code message } }
    }
    ... on Error { code message }
  }
}`

/** PARLEY_URL and PARLEY_TOKEN; by default the server of this machine, and the token it has for development. */
export async function connect(): Promise<Parley> {
  const { PARLEY_URL = 'http://127.0.0.1:4000', PARLEY_TOKEN } = process.env
  const authorization = `Bearer ${PARLEY_TOKEN ?? (await developmentToken(PARLEY_URL))}`
  const socket = createClient({
    url: `${PARLEY_URL.replace('http', 'ws')}/graphql`,
    connectionParams: { authorization },
  })

  async function ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const response = await fetch(`${PARLEY_URL}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify({ query, variables }),
    })
    return rootField<T>((await response.json()) as Answer)
  }

  return {
    ask,
    async *listen<T>(query: string, variables: Record<string, unknown> = {}) {
      for await (const answer of socket.iterate({ query, variables })) yield rootField<T>(answer as Answer)
    },
    async send(sessionId, content, clientId = crypto.randomUUID()) {
      const input = { sessionId, content, clientId, wait: true }
      const sent = await ask<{ assistantMessage: Reply; run: { error: Failure | null } }>(sendMessage, {
        input,
      })
      if (sent.run.error) throw new Error(sent.run.error.message)
      return sent.assistantMessage
    },
    close: async () => socket.dispose(),
  }
}

type Answer = { data?: Record<string, unknown> | null; errors?: readonly { message: string }[] }

function rootField<T>({ data, errors }: Answer): T {
  if (errors?.[0]) throw new Error(errors[0].message)
  const field = Object.values(data ?? {})[0] as T & Partial<Failure>
  if (field?.code) throw new Error(`${field.code}: ${field.message}`)
  return field
}

async function developmentToken(url: string): Promise<string> {
  const response = await fetch(`${url}/graphiql/config.json`)
  const { token } = (await response.json()) as { token: string | null }
  if (!token) throw new Error('Set PARLEY_TOKEN: this server gives no token for development.')
  return token
}
