import { type Identity, startTestApp } from '../support/app.ts'

const exportMutation = `mutation ($input: ExportSessionInput!) {
  exportSession(input: $input) {
    ... on ExportSessionPayload { url expiresAt filename }
    ... on Error { code message }
  }
}`

export const addMessages = `mutation ($input: AddMessagesInput!) {
  addMessages(input: $input) { ... on AddMessagesPayload { messages { id } } ... on Error { message } }
}`

export type Exports = Awaited<ReturnType<typeof startExports>>

/** A server, and the ways to it that tests of exports need. */
export async function startExports() {
  const app = await startTestApp()
  return {
    app,
    /** The payload or the failure. */
    link: async (sessionId: string, identity?: Identity, format = 'JSON') =>
      (await app.api(identity).run(exportMutation, { input: { sessionId, format } })).exportSession,
    open: (url: string, init?: RequestInit) => fetch(`${app.url}${url}`, init),
    /** A session of questions, answers, a tool call and an open code block. */
    async conversation(identity?: Identity): Promise<string> {
      const api = app.api(identity)
      const sessionId = await api.createSession({ title: 'Über "Tides"/…', agent: 'primary', tags: ['sea'] })
      await api.change('sendMessage', { sessionId, content: 'Tell me about tides', wait: true })
      const messages = [
        { role: 'ASSISTANT', toolCalls: [{ id: 'c1', name: 'look_up', arguments: { place: 'Brest' } }] },
        { role: 'TOOL', toolCallId: 'c1', content: 'high at ```10:42```' },
        { role: 'USER', content: 'Thanks\n\n```js\nlet open = 1', metadata: { mood: 'good' } },
      ]
      await api.run(addMessages, { input: { sessionId, messages } })
      return sessionId
    },
  }
}
