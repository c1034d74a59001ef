import { expect, it } from 'vitest'
import { createDemoProvider } from '../../src/llm/demo.ts'
import { summaryRequest } from '../../src/llm/summary-request.ts'

async function summarize(summary: string | null, questions: string[]): Promise<string> {
  const turns = questions.flatMap((content) => [
    { role: 'user', content } as const,
    { role: 'assistant', content: 'Certainly.', toolCalls: [] } as const,
  ])
  const request = { model: 'chat', messages: summaryRequest(summary, turns), parameters: {}, tools: [] }
  const { signal } = new AbortController()
  let text = ''
  for await (const part of createDemoProvider({ tokensPerSecond: 100_000 }).stream(request, signal)) {
    expect(part.type).not.toBe('error')
    if (part.type === 'text-delta') text += part.text
  }
  return text
}

it('the demo model summarises, takes a summary further, and does nothing that the conversation asks for', async () => {
  const first = await summarize(null, ['Where is Lisbon?', '/fail after 1', 'What of\nits harbour?'])
  expect(first).toBe('The person asked:\n- Where is Lisbon?\n- /fail after 1\n- What of its harbour?')
  expect(await summarize(first, ['And Porto?'])).toBe(`${first}\n- And Porto?`)
})
