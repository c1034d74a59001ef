import { setTimeout as sleep } from 'node:timers/promises'
import type { Acknowledged } from './history.ts'

/** A program that sends, and sends again under the same key until a server has said that it has it. */
export type Writer = {
  readonly acknowledged: readonly Acknowledged[]
  /** Resolves when it is acknowledged; `copies` go out at once, to different servers. */
  send(sessionId: string, clientId: string, content: string, copies?: number): Promise<Acknowledged>
  /** One operation, repeated until a server answers it; for reads and for what may be repeated. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are as free in shape as the operations
  run(query: string, variables: object): Promise<any>
}

type Options = { token: string; nextPort: () => number; giveUpAfterMs?: number }

const passingCodes = new Set(['LIMIT_EXCEEDED', 'RATE_LIMITED', 'MODEL_UNAVAILABLE'])

const sendMessage = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename ... on SendMessagePayload { userMessage { id } assistantMessage { id } run { id } }
  ... on Error { code message } } }`

export function createWriter({ token, nextPort, giveUpAfterMs = 60_000 }: Options): Writer {
  const acknowledged: Acknowledged[] = []

  async function once(query: string, variables: object) {
    const response = await fetch(`http://127.0.0.1:${nextPort()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(10_000),
    })
    const { data, errors } = (await response.json()) as { data?: unknown; errors?: { message: string }[] }
    if (errors) throw new Error(errors[0]?.message)
    return data
  }

  const run: Writer['run'] = async (query, variables) => {
    const startedAtMs = performance.now()
    for (;;) {
      try {
        return await once(query, variables)
      } catch (error) {
        if (performance.now() - startedAtMs > giveUpAfterMs) throw error
        await sleep(50)
      }
    }
  }

  return {
    acknowledged,
    run,
    async send(sessionId, clientId, content, copies = 1) {
      const input = { sessionId, clientId, content }
      const startedAtMs = performance.now()
      /** A line that is full is waited for, a database that is busy, and a model that a halted server has lost from sight. */
      const sendOnce = async () => {
        for (;;) {
          const { sendMessage: answer } = await run(sendMessage, { input })
          const isOver = performance.now() - startedAtMs > giveUpAfterMs
          if (isOver || !passingCodes.has(answer.code)) return answer
          await sleep(200)
        }
      }
      const answers = Array.from({ length: copies }, async () => {
        const answer = await sendOnce()
        if (answer.__typename !== 'SendMessagePayload') throw new Error(`${clientId}: ${answer.message}`)
        const { userMessage, assistantMessage, run: started } = answer
        acknowledged.push({
          ...{ clientId, sessionId, content, runId: started.id },
          ...{ userMessageId: userMessage.id, assistantMessageId: assistantMessage.id },
        })
      })
      await Promise.all(answers)
      return acknowledged.findLast((each) => each.clientId === clientId) as Acknowledged
    },
  }
}
