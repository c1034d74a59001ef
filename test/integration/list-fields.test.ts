import { type GraphQLObjectType, getNamedType, isLeafType } from 'graphql'
import { beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

/** Every field of a type, each as a selection of its own. */
function selectionsOf(typeName: string): string[] {
  const type = schema.getType(typeName) as GraphQLObjectType
  return Object.values(type.getFields()).map(({ name, type }) =>
    isLeafType(getNamedType(type)) ? name : `${name} { __typename }`,
  )
}

let app: TestApp
let sessionId: string
let messageId: string
beforeAll(async () => {
  app = await startTestApp()
  const settings = { title: 'Tides', tags: ['sea'], metadata: { a: 1 }, systemPrompt: 'Be brief.' }
  const more = { agent: 'primary', model: 'demo:chat', parameters: { temperature: 0.5 } }
  sessionId = await app.api().createSession({ ...settings, ...more })
  const sent = await app.api().sendMessage({ sessionId, content: 'Hello', clientId: 'one', wait: true })
  messageId = sent.assistantMessage.id
})

// Lists read no more columns than the selected fields need; one that was forgotten would answer null, or fail.
describe('a list answers as the thing itself does', () => {
  it.each(selectionsOf('Session'))('for Session.%s', async (field) => {
    const { session, sessions } = await app
      .api()
      .run(`query ($id: ID!) { session(id: $id) { ${field} } sessions { nodes { ${field} } } }`, {
        id: sessionId,
      })
    expect(sessions.nodes).toEqual([session])
  })

  it.each(selectionsOf('Agent'))('for Session.agent.%s', async (field) => {
    const { session, sessions } = await app.api().run(
      `query ($id: ID!) { session(id: $id) { agent { ${field} } }
        sessions { nodes { agent { ${field} } } edges { node { agent { id } } } } }`,
      { id: sessionId },
    )
    const { agents } = await app.api().run(`{ agents { key id ${field} } }`)
    const { key: _key, id, ...primary } = agents.find(({ key }: { key: string }) => key === 'primary')
    expect(sessions.edges).toEqual([{ node: { agent: { id } } }])
    expect(sessions.nodes).toEqual([session])
    expect({ key: 'primary', id, ...session.agent }).toEqual({ key: 'primary', id, ...primary })
  })

  it.each(selectionsOf('Message'))('for Message.%s', async (field) => {
    const { message, session } = await app.api().run(
      `query ($id: ID!, $sessionId: ID!) { message(id: $id) { ${field} }
        session(id: $sessionId) { messages(last: 1) { nodes { ${field} } } } }`,
      { id: messageId, sessionId },
    )
    expect(session.messages.nodes).toEqual([message])
  })
})
