import type { Api } from '../support/api.ts'

export const searching = `query ($query: String!, $filter: SearchFilter, $first: Int, $after: Cursor, $last: Int, $before: Cursor, $offset: Int) {
  search(query: $query, filter: $filter, first: $first, after: $after, last: $last, before: $before, offset: $offset) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes {
      rank session { id title } message { id content role author { externalId } }
      snippet { text highlights { start end } }
    }
  }
}`

type Hit = {
  rank: number
  session: { id: string; title: string }
  message: { id: string; content: string } | null
  snippet: { text: string; highlights: { start: number; end: number }[] }
}

export const find = async (api: Api, query: string, rest: object = {}) =>
  (await api.run(searching, { query, ...rest })).search as {
    totalCount: number
    nodes: Hit[]
    pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string }
  }
export const textsOf = ({ nodes }: { nodes: Hit[] }) =>
  nodes.map(({ message, session }) => message?.content ?? session.title)

export async function addMessages(
  api: Api,
  sessionId: string,
  ...texts: (string | object)[]
): Promise<string[]> {
  const messages = texts.map((text) => (typeof text === 'string' ? { role: 'USER', content: text } : text))
  const { addMessages: added } = await api.run(
    `mutation ($input: AddMessagesInput!) { addMessages(input: $input) {
      ... on AddMessagesPayload { messages { id } } ... on Error { message } } }`,
    { input: { sessionId, messages } },
  )
  return added.messages.map(({ id }: { id: string }) => id)
}
