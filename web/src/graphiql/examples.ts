import create from './examples/create.graphql?raw'
import list from './examples/list.graphql?raw'
import send from './examples/send.graphql?raw'
import watch from './examples/watch.graphql?raw'

const variables = (values: Record<string, string>) => JSON.stringify(values, null, 2)

type Example = { query: string; variables?: string }

/** What a first visit opens, in the order in which a newcomer runs it. */
export const exampleTabs: [Example, ...Example[]] = [
  { query: create },
  { query: send, variables: variables({ sessionId: '', content: 'Tell me about the sea.' }) },
  { query: watch, variables: variables({ sessionId: '' }) },
  { query: list },
]
