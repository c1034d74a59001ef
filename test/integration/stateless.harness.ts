import type { Api } from '../support/api.ts'

const payload =
  'run { id status model error { code } } userMessage { content } assistantMessage { id content status }'

export const complete = (api: Api, input: Record<string, unknown>) => api.mutate('complete', input, payload)
export const execute = (api: Api, input: Record<string, unknown>) =>
  api.mutate('executeTemplate', input, payload)
export const user = (content: string) => ({ role: 'USER', content })

export const runEvents = `subscription ($id: ID!, $after: Cursor) { runEvents(runId: $id, after: $after) { __typename cursor
  ... on RunSnapshot { reason run { id status session { id } } messages { id role content } }
  ... on TextDelta { messageId offset text } ... on RunFinished { run { id status } } } }`
