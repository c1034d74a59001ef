import { gql } from '@apollo/client'
import { createParleyApollo, parleyOf } from '@parley/client/apollo'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

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
    await api.mutate('addMessages', { sessionId: id, messages })
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
    await vi.waitFor(() => expect(kinds).toEqual(['RESET']), { timeout: 15_000 })
    await app.api({ user }).createSession({ title: 'New' })
    await vi.waitFor(() => expect(kinds).toEqual(['RESET', 'CREATED']), { timeout: 15_000 })
  })
})
