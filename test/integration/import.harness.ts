import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const importMutation = `mutation ($input: ImportSessionInput!) {
  importSession(input: $input) {
    ... on ImportSessionPayload {
      messageCount
      session { id }
      sessions {
        id title titleSource systemPrompt isActive model messageCount createdAt lastMessageAt viewerRole
        agent { key } user { externalId }
      }
    }
    ... on ValidationError { code fields { path message } }
    ... on Error { code message }
  }
}`

const readMessages = `query ($id: ID!) { session(id: $id) { messages(first: 100) { nodes {
  seq role content toolCalls { id name arguments } toolCallId status finishReason model inputTokens outputTokens
  createdAt author { externalId }
} } } }`

/** A document of Parley's own format. */
export const documentOf = (messages: unknown[] = [], session: object = {}) =>
  JSON.stringify({ format: 'parley/1', session, messages })

export const hello = { role: 'USER', content: 'Hello' }

export type Imports = Awaited<ReturnType<typeof startImports>>

/** A server that takes large files, and the ways to it that tests of imports need. */
export async function startImports() {
  const app: TestApp = await startTestApp({ env: { HTTP_BODY_MAX_BYTES: '8388608' } })
  return {
    app,
    /** The payload or the failure. */
    importInto: async (input: Record<string, unknown>, identity?: Identity) =>
      (await app.api(identity).run(importMutation, { input })).importSession,
    /** The answer as it came. */
    send: (content: string) => app.api().send(importMutation, { input: { content } }),
    messagesOf: async (id: string, identity?: Identity) =>
      (await app.api(identity).run(readMessages, { id })).session.messages.nodes,
    countSessions: async () => {
      const sql = 'SELECT count(*)::int AS count FROM sessions'
      return (await query<{ count: number }>(app.databaseUrl, sql))[0]?.count
    },
  }
}
