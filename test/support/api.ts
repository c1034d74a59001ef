import { expect } from 'vitest'

export type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: answers are as free in shape as the queries of the tests
  data?: any
  errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[]
}

export type Api = {
  /** The answer as it came. */
  send(query: string, variables?: Record<string, unknown>): Promise<Answer>
  /** The data; fails the test on any error. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  run(query: string, variables?: Record<string, unknown>): Promise<any>
  /** Runs a mutation; gives these fields of its payload, or those of the error object. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  mutate(name: string, input: Record<string, unknown>, payload?: string): Promise<any>
  /** As `mutate`, where nothing but success will do: fails the test on an error object. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  change(name: string, input: Record<string, unknown>, payload?: string): Promise<any>
  /** Makes a session and gives its id. */
  createSession(input?: Record<string, unknown>): Promise<string>
  /** Sends a message and gives the payload, or the error object. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  sendMessage(input: Record<string, unknown>): Promise<any>
}

export function createApi(url: string, token: string | null): Api {
  const send: Api['send'] = async (query, variables) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ query, variables }),
    })
    return (await response.json()) as Answer
  }
  const run: Api['run'] = async (query, variables) => {
    const { data, errors } = await send(query, variables)
    expect(errors, JSON.stringify(errors)).toBeUndefined()
    return data
  }
  const mutate: Api['mutate'] = async (name, input, payload = '__typename') => {
    const type = name.charAt(0).toUpperCase() + name.slice(1)
    const data = await run(
      `mutation ($input: ${type}Input!) { ${name}(input: $input) {
        ... on ${type}Payload { ${payload} } ... on Error { code message } } }`,
      { input },
    )
    return data[name]
  }
  return {
    send,
    run,
    mutate,
    async change(name, input, payload) {
      const changed = await mutate(name, input, payload)
      expect(changed).not.toHaveProperty('code')
      return changed
    },
    async createSession(input = {}) {
      const { createSession } = await run(createSessionMutation, { input })
      expect(createSession).toHaveProperty('session')
      return createSession.session.id
    },
    async sendMessage(input) {
      const { sendMessage } = await run(sendMessageMutation, { input })
      return sendMessage
    },
  }
}

const createSessionMutation = `mutation ($input: CreateSessionInput!) {
  createSession(input: $input) {
    ... on CreateSessionPayload { session { id } }
    ... on Error { code message }
  }
}`

const sendMessageMutation = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    ... on SendMessagePayload {
      userMessage { id seq content }
      assistantMessage { id seq status content finishReason }
      run { id status error { code message } usage { inputTokens outputTokens } }
    }
    ... on Error { code message }
  }
}`
