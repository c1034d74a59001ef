import type { FinishReason, ModelRequest, Provider } from '../../src/llm/provider.ts'
import { isSummaryRequest } from '../../src/llm/summary-request.ts'
import type { Api } from '../support/api.ts'
import type { TestApp } from '../support/app.ts'
import { addMessages } from './messages.harness.ts'

/** A model that keeps what it was asked and answers at once; `wide:small` has room for few tokens. */
export function createWideProvider() {
  const requests: ModelRequest[] = []
  const summaries: ModelRequest[] = []
  /** What an answer waits for before it ends. */
  const waits: { reply?: Promise<void>; summary?: Promise<void> } = {}
  const summaryEnd: { finishReason: FinishReason } = { finishReason: 'stop' }
  const provider: Provider = {
    name: 'wide',
    list: async () => [
      { name: 'open', capabilities: ['TEXT', 'TOOLS'] },
      { name: 'small', contextWindow: 600, capabilities: ['TEXT'] },
    ],
    async *stream(request) {
      const isSummary = isSummaryRequest(request.messages)
      if (isSummary) summaries.push(request)
      else requests.push(request)
      yield { type: 'start' }
      yield {
        type: 'text-delta',
        text: isSummary ? `Summary ${summaries.length}` : `Reply ${requests.length}`,
      }
      await (isSummary ? waits.summary : waits.reply)
      yield {
        type: 'usage',
        usage: { inputTokens: inputTokens(request), outputTokens: 5, cachedInputTokens: 0 },
      }
      yield { type: 'end', finishReason: isSummary ? summaryEnd.finishReason : 'stop' }
    },
  }
  return { provider, requests, summaries, waits, summaryEnd }
}

/** As many as the server takes for granted. */
export const inputTokens = ({ messages }: ModelRequest): number =>
  Math.ceil(messages.reduce((sum, { content }) => sum + content.length, 0) / 4)

export const previewFields = `parts { kind role content tokens message { id content } } totalTokens limit
  dropped { turns tokens reason } countedBy`

// biome-ignore lint/suspicious/noExplicitAny: answers are as free in shape as the queries of the tests
export async function preview(api: Api, id: string, args: Record<string, unknown> = {}): Promise<any> {
  const { session } = await api.run(
    `query ($id: ID!, $content: String, $model: String, $contextPolicy: ContextPolicyInput,
      $documentIds: [ID!]) { session(id: $id) {
      contextPreview(content: $content, model: $model, contextPolicy: $contextPolicy,
      documentIds: $documentIds) { ${previewFields} } } }`,
    { id, ...args },
  )
  return session.contextPreview
}

type Shown = { kind: string; role: string | null; content: string }

/** The messages that a preview shows, as a provider gets them: what has the role SYSTEM is one. */
export function messagesOf({ parts }: { parts: Shown[] }): { role: string; content: string }[] {
  const shown = parts.filter(({ role }) => role !== null)
  const system = shown.filter(({ role }) => role === 'SYSTEM').map(({ content }) => content)
  const rest = shown
    .filter(({ role }) => role !== 'SYSTEM')
    .map(({ role, content }) => ({ role: String(role).toLowerCase(), content }))
  return system.length > 0 ? [{ role: 'system', content: system.join('\n\n') }, ...rest] : rest
}

export const sentMessages = (request: ModelRequest | undefined) =>
  (request?.messages ?? []).map(({ role, content }) => ({ role, content }))

/** Turns of some 60 tokens each. */
export const talk = (count: number) =>
  Array.from({ length: count }, (_, index) => [
    { role: 'USER', content: `Question ${index + 1} about the harbour of Lisbon ${'x'.repeat(100)}` },
    { role: 'ASSISTANT', content: `Answer ${index + 1} ${'y'.repeat(100)}` },
  ]).flat()

export async function sessionWith(app: TestApp, messages: object[], input: object = {}, user = 'alice') {
  const api = app.api({ user })
  const sessionId = await api.createSession({ systemPrompt: 'Be kind.', model: 'wide:open', ...input })
  if (messages.length > 0) await addMessages(api, sessionId, messages)
  return { api, sessionId }
}
