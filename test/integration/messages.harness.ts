import { expect } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import type { TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import type { Watch } from '../support/watch.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers are as free in shape as the queries of the tests
type Answer = any

const message = 'id seq role status content replacedAt'
const sent = `userMessage { ${message} editedAt } assistantMessage { ${message} model } run { id status model }`
const mutation = (name: string, payload: string) => {
  const type = name.charAt(0).toUpperCase() + name.slice(1)
  return `mutation ($input: ${type}Input!) {
    ${name}(input: $input) { ... on ${type}Payload { ${payload} } ... on Error { code message } }
  }`
}
const documents = {
  addMessages: mutation('addMessages', `messages { ${message} author { externalId } agent { key } }`),
  editMessage: mutation('editMessage', sent),
  regenerateMessage: mutation('regenerateMessage', sent),
  deleteMessage: mutation('deleteMessage', 'deletedMessageIds session { messageCount title }'),
  cancelRun: mutation('cancelRun', 'run { status }'),
}

/** Carries out a mutation; gives its payload or its error. */
export async function mutate(
  api: Api,
  name: keyof typeof documents,
  input: Record<string, unknown>,
): Promise<Answer> {
  return (await api.run(documents[name], { input }))[name]
}

export async function addMessages(api: Api, sessionId: string, messages: object[]): Promise<Answer[]> {
  const added = await mutate(api, 'addMessages', { sessionId, messages })
  expect(added).not.toHaveProperty('code')
  return added.messages
}

/** Sends and waits for the reply. */
export const ask = (api: Api, sessionId: string, content: string, more: object = {}): Promise<Answer> =>
  api.sendMessage({ sessionId, content, wait: true, ...more })

/** The session with a page of its messages. */
export async function read(api: Api, id: string, args = 'last: 200'): Promise<Answer> {
  const { session } = await api.run(
    `query ($id: ID!) { session(id: $id) {
      title titleSource messageCount lastMessage { id }
      messages(${args}) { totalCount nodes { ${message} } }
    } }`,
    { id },
  )
  return session
}

export const contents = (session: Answer): string[] =>
  session.messages.nodes.map(({ content }: Answer) => content)

/** Makes somebody a participant; this user must have called before. */
export async function share(app: TestApp, sessionId: string, user: string, role: string): Promise<void> {
  await app.api({ user }).run('{ viewer { role } }')
  await query(
    app.databaseUrl,
    `INSERT INTO participants (tenant_id, session_id, user_id, role)
     SELECT tenant_id, $1, id, $3::"ParticipantRole" FROM users WHERE external_id = $2`,
    { values: [decodeId(sessionId).uuid, user, role] },
  )
}

export const watchMessages = `subscription ($sessionId: ID!) {
  sessionEvents(sessionId: $sessionId) {
    __typename
    ... on SessionSnapshot { session { messageCount } messages { ${message} } }
    ... on MessageAdded { message { ${message} } }
    ... on MessageUpdated { message { ${message} } }
    ... on MessageRemoved { messageId }
    ... on TextDelta { messageId text }
    ... on RunQueued { run { id status } }
    ... on RunStarted { run { id status } }
    ... on RunFinished { run { id status } }
    ... on SessionUpdated { session { messageCount title titleSource } }
  }
}`

/** Follows a session; resolves when it is attached. */
export async function follow(app: TestApp, sessionId: string): Promise<Watch> {
  const watch = app.socket().watch(watchMessages, { sessionId })
  await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
  return watch
}

export const runEnd = (watch: Watch, runId: string): Promise<Answer> =>
  watch.until(({ __typename, run }) => __typename === 'RunFinished' && run.id === runId)

/** The messages that a client has who applies the events in order. */
export function applied(watch: Watch): Answer[] {
  const messages = new Map<string, Answer>()
  for (const event of watch.events) {
    for (const each of event.messages ?? []) messages.set(each.id, each)
    if (event.__typename === 'MessageRemoved') messages.delete(event.messageId)
    if (event.message) messages.set(event.message.id, event.message)
  }
  return [...messages.values()].sort((a, b) => a.seq - b.seq)
}
