import type { ModelPart, ModelRequest, Provider } from '../../src/llm/provider.ts'
import type { Api } from '../support/api.ts'
import type { TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

/** What a message asks the metered model to tell of its use, and how to end. */
export type Script = { input?: number; output?: number; cached?: number; end?: 'stop' | 'fail' | 'tools' }

export const meteredModel = 'metered:model'

/** A model whose use is what the question says, `then` after the results of its tools. */
export function createMeteredProvider(): { provider: Provider; requests: ModelRequest[] } {
  const requests: ModelRequest[] = []
  return {
    requests,
    provider: {
      name: 'metered',
      list: async () => [{ name: 'model', capabilities: ['TEXT', 'TOOLS'] }],
      async *stream(request): AsyncGenerator<ModelPart> {
        requests.push(request)
        const { input = 0, output = 0, cached = 0, end = 'stop' } = scriptOf(request)
        yield { type: 'start' }
        yield { type: 'text-delta', text: 'Measured.' }
        const isAnswered = request.messages.at(-1)?.role === 'tool'
        if (end === 'tools' && !isAnswered)
          yield { type: 'tool-call', call: { id: 'call_1', name: 'look', arguments: {} } }
        yield {
          type: 'usage',
          usage: { inputTokens: input, outputTokens: output, cachedInputTokens: cached },
        }
        if (end === 'fail') yield { type: 'error', error: new Error('as asked') as never }
        else yield { type: 'end', finishReason: end === 'tools' && !isAnswered ? 'tool-calls' : 'stop' }
      },
    },
  }
}

function scriptOf({ messages }: ModelRequest): Script {
  const question = messages.findLast(({ role }) => role === 'user')
  return JSON.parse(question?.content ?? '{}') as Script
}

export const refusal = `__typename ... on Error { code message }
  ... on QuotaError { scope period unit limit used resetAt }`

/** Sends and waits for the end; gives the run, or what refused it. */
// biome-ignore lint/suspicious/noExplicitAny: it comes as the API gave it
export async function measure(api: Api, sessionId: string, script: Script): Promise<any> {
  const { sendMessage } = await api.run(
    `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { ${refusal}
      ... on SendMessagePayload { run { id status error { code message } usage { inputTokens outputTokens } } } } }`,
    { input: { sessionId, model: meteredModel, content: JSON.stringify(script), wait: true } },
  )
  return sendMessage.run ?? sendMessage
}

const quotaFields = 'scope period tokens cost usedTokens usedCost resetAt'

// biome-ignore lint/suspicious/noExplicitAny: as above
export async function quotaOf(api: Api): Promise<any[]> {
  return (await api.run(`{ viewer { quota { ${quotaFields} } } }`)).viewer.quota
}

// biome-ignore lint/suspicious/noExplicitAny: as above
export async function setQuota(app: TestApp, tenant: string, input: Record<string, unknown>): Promise<any> {
  const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
  const payload = await admin.mutate('setQuota', input, `quota { ${quotaFields} }`)
  return 'quota' in payload ? payload.quota : payload
}

/** As if so much of the calendar had passed since all that was used. */
export const ageUsage = (app: TestApp, age: string) =>
  query(app.databaseUrl, `UPDATE usage_days SET day = day - interval '${age}'`)
