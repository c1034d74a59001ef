import { type DocumentNode, gql } from '@apollo/client'
import { createParleyApollo, parleyOf } from '@parley/client/apollo'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const connect = (user: string, transport: 'websocket' | 'sse' = 'websocket') => {
  const client = createParleyApollo({ url: `${app.url}/graphql`, token: app.token({ user }), transport })
  onTestFinished(() => parleyOf(client).close())
  return client
}

const listQuery = gql`
  query ($after: Cursor) {
    sessions(first: 2, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
      pageInfo { hasNextPage endCursor }
      nodes { id title }
    }
  }
`
const messagesQuery = gql`
  query ($id: ID!, $last: Int!, $before: Cursor) {
    session(id: $id) {
      id
      messages(last: $last, before: $before) {
        pageInfo { hasPreviousPage startCursor }
        nodes { id seq content status }
      }
    }
  }
`

describe('the cache', () => {
  it('joins the pages of a list, and keeps an object that is in two lists once', async () => {
    const client = connect('ann')
    const api = app.api({ user: 'ann' })
    for (const title of ['A', 'B', 'C']) await api.createSession({ title })
    // biome-ignore lint/suspicious/noExplicitAny: the documents of this file have no types
    const read = () => client.readQuery<any>({ query: listQuery })?.sessions
    await client.query({ query: listQuery })
    const after = read().pageInfo.endCursor
    await client.query({ query: listQuery, variables: { after }, fetchPolicy: 'network-only' })
    expect(read().nodes.map(({ title }: { title: string }) => title)).toEqual(['A', 'B', 'C'])
    expect(read().pageInfo.hasNextPage).toBe(false)

    const [first] = read().nodes
    const change = gql`mutation ($id: ID!) { updateSession(input: { sessionId: $id, title: "Z" }) {
      ... on UpdateSessionPayload { session { id title } } ... on Error { message } } }`
    await client.mutate({ mutation: change, variables: { id: first.id } })
    expect(read().nodes[0].title).toBe('Z')
  })

  it('puts messages by their seq, whichever page comes first, and sets no text back', async () => {
    const client = connect('ben')
    const api = app.api({ user: 'ben' })
    const id = await api.createSession()
    const messages = Array.from({ length: 6 }, (_, i) => ({ role: 'USER', content: `Message ${i + 1}` }))
    await api.change('addMessages', { sessionId: id, messages })
    const options = { query: messagesQuery, variables: { id, last: 2 } }
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const read = () => client.readQuery<any>(options)?.session.messages
    const seqs = () => read().nodes.map(({ seq }: { seq: number }) => seq)
    await client.query(options)
    const before = read().pageInfo.startCursor
    await client.query({
      query: messagesQuery,
      variables: { id, last: 3, before },
      fetchPolicy: 'network-only',
    })
    expect(seqs()).toEqual([2, 3, 4, 5, 6])
    // Read anew, the last page leaves the older ones where they are.
    await client.query({ ...options, fetchPolicy: 'network-only' })
    expect(seqs()).toEqual([2, 3, 4, 5, 6])
    expect(read().pageInfo.hasPreviousPage).toBe(true)

    const [message] = read().nodes
    const fragment = gql`fragment Text on Message { content status }`
    const key = client.cache.identify(message)
    client.cache.writeFragment({ id: key, fragment, data: { content: 'Mess', status: 'STREAMING' } })
    expect(read().nodes[0]).toMatchObject({ content: 'Message 2', status: 'COMPLETE' })
  })
})

describe('a late answer', () => {
  it('takes back no call of a tool and nothing that was null when it was read', () => {
    const { cache } = connect('gil')
    const fragment = gql`fragment Told on Message {
      id status finishReason outputTokens toolCalls { id name arguments }
    }`
    const message = { __typename: 'Message', id: 'told', status: 'STREAMING', finishReason: null }
    const call = (id: string, args: object | null) => ({
      __typename: 'ToolCall',
      id,
      name: 'tide_at',
      arguments: args,
    })
    const told = {
      ...message,
      outputTokens: 2,
      toolCalls: [call('one', { place: 'Brest' }), call('two', null)],
    }
    cache.writeFragment({ fragment, data: told })
    expect(cache.readFragment({ fragment, id: 'Message:told' })).toEqual(told)
    cache.writeFragment({ fragment, data: { ...message, outputTokens: null, toolCalls: [] } })
    // One that was still being written may not have come to its end.
    const kept = { ...told, toolCalls: [told.toolCalls[0]] }
    expect(cache.readFragment({ fragment, id: 'Message:told' })).toEqual(kept)
    const done = { ...told, status: 'COMPLETE', finishReason: 'TOOL_CALLS', outputTokens: 9 }
    cache.writeFragment({ fragment, data: done })
    cache.writeFragment({ fragment, data: { ...message, outputTokens: null, toolCalls: [] } })
    expect(cache.readFragment({ fragment, id: 'Message:told' })).toEqual({
      ...done,
      toolCalls: kept.toolCalls,
    })
  })
})

describe('what is read in parts', () => {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const read = (client: ReturnType<typeof connect>, query: DocumentNode): any => client.readQuery({ query })

  it('is joined where an object has no id of its own', async () => {
    const client = connect('dan')
    const id = await app.api({ user: 'dan' }).createSession()
    const parts = [
      gql`{ viewer { role } }`,
      gql`{ viewer { user { id externalId } } }`,
      gql`query { session(id: "${id}") { id usage { inputTokens } } }`,
      gql`query { session(id: "${id}") { id usage { cost } } }`,
    ]
    for (const query of parts) await client.query({ query })
    expect(read(client, gql`{ viewer { role user { externalId } } }`)).toMatchObject({
      viewer: { role: 'USER', user: { externalId: 'dan' } },
    })
    const usage = gql`query { session(id: "${id}") { id usage { inputTokens cost } } }`
    expect(read(client, usage).session.usage).toMatchObject({ inputTokens: 0, cost: '0' })
  })

  it('stays known of people who take part, where others ask for less or somebody leaves', async () => {
    const client = connect('pam')
    const api = app.api({ user: 'pam' })
    const id = await api.createSession()
    const { viewer } = await app.api({ user: 'quinn' }).run('{ viewer { user { id } } }')
    await api.change('addParticipant', { sessionId: id, externalUserId: 'quinn', role: 'EDITOR' })
    const whole = gql`query { session(id: "${id}") { id participants { role since user { id externalId } } } }`
    const less = gql`query { session(id: "${id}") { id participants { role user { id } } } }`
    await client.query({ query: whole })
    await client.query({ query: less, fetchPolicy: 'network-only' })
    const known = () =>
      read(client, whole)?.session.participants.map(
        ({ role, since, user }: { role: string; since: string; user: { externalId: string } }) =>
          since && `${user.externalId} ${role}`,
      )
    expect(known()).toEqual(['pam OWNER', 'quinn EDITOR'])
    await api.change('removeParticipant', { sessionId: id, userId: viewer.user.id })
    await client.query({ query: less, fetchPolicy: 'network-only' })
    expect(known()).toEqual(['pam OWNER'])
  })

  it('is found by its id, whatever list it came with', async () => {
    const client = connect('eli')
    const id = await app.api({ user: 'eli' }).createSession({ title: 'Listed' })
    await client.query({ query: listQuery })
    const byId = gql`query { session(id: "${id}") { id title } }`
    expect(read(client, byId)).toMatchObject({ session: { title: 'Listed' } })
  })

  it('has calls of tools by their message, and no author until it was asked for', async () => {
    const client = connect('fin')
    const fragment = gql`fragment Calls on Message { id author { id } toolCalls { id name } }`
    const calls = [
      ['one', 'tide_at'],
      ['two', 'wind_at'],
    ] as const
    for (const [id, name] of calls)
      client.cache.writeFragment({
        fragment: gql`fragment Told on Message { id toolCalls { id name } }`,
        data: { __typename: 'Message', id, toolCalls: [{ __typename: 'ToolCall', id: 'call_1', name }] },
      })
    const stored = calls.map(([id]) => client.cache.readFragment({ fragment, id: `Message:${id}` }))
    expect(stored).toMatchObject(
      calls.map(([id, name]) => ({ id, author: null, toolCalls: [{ id: 'call_1', name }] })),
    )
  })
})

describe.each(['websocket', 'sse'] as const)('subscriptions over %s', (transport) => {
  it('come through the same client', async () => {
    const user = `cat-${transport}`
    const client = connect(user, transport)
    const kinds: string[] = []
    const document = gql`subscription { sessionChanged { kind session { id title } } }`
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const subscription = client.subscribe<any>({ query: document }).subscribe(({ data }) => {
      kinds.push(data.sessionChanged.kind)
    })
    onTestFinished(() => subscription.unsubscribe())
    await vi.waitFor(() => expect(kinds).toEqual(['RESET']), patience)
    await app.api({ user }).createSession({ title: 'New' })
    await vi.waitFor(() => expect(kinds).toEqual(['RESET', 'CREATED']), patience)
  })
})
