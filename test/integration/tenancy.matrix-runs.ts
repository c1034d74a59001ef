import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const notFound = (field: string) => ({ data: { [field]: expect.objectContaining({ code: 'NOT_FOUND' }) } })
const mutation = (name: string, payload: string) =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`

/** The part of the matrix for the line of runs and the results of tools. */
export const runsAndTools: Record<string, Case[]> = {
  // It names nothing of anybody's; what is told is how it is refused.
  'Mutation.complete': [
    {
      operation: mutation('complete', '... on CompletePayload { assistantMessage { content } }'),
      variables: () => ({ input: { messages: [] } }),
      refused: { data: { complete: expect.objectContaining({ code: 'BAD_USER_INPUT' }) } },
    },
  ],
  'Mutation.executeTemplate': [
    {
      operation: mutation('executeTemplate', '... on ExecuteTemplatePayload { userMessage { content } }'),
      variables: (ids) => ({ input: { templateId: ids.Template, wait: true } }),
      refused: notFound('executeTemplate'),
      isSharedInTenant: true,
    },
  ],
  'Subscription.runEvents': [
    {
      operation: `subscription ($id: ID!) { runEvents(runId: $id) { cursor
        ... on RunSnapshot { run { model } messages { content } } } }`,
      variables: (ids) => ({ id: ids.Run }),
      refused: {
        errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: 'NOT_FOUND' }) })],
      },
    },
  ],
  'Mutation.cancelRun': [
    {
      operation: mutation('cancelRun', '... on CancelRunPayload { run { status } }'),
      variables: (ids) => ({ input: { runId: ids.Run } }),
      refused: notFound('cancelRun'),
    },
  ],
  'Mutation.moveQueuedRun': [
    {
      operation: mutation('moveQueuedRun', '... on MoveQueuedRunPayload { session { title } }'),
      variables: (ids) => ({ input: { runId: ids.Run, position: 0 } }),
      refused: notFound('moveQueuedRun'),
    },
  ],
  'Mutation.cancelSessionRuns': [
    {
      operation: mutation('cancelSessionRuns', '... on CancelSessionRunsPayload { runs { model } }'),
      variables: (ids) => ({ input: { sessionId: ids.Session } }),
      refused: notFound('cancelSessionRuns'),
    },
  ],
  'Mutation.submitToolResults': [
    {
      operation: mutation('submitToolResults', '... on SubmitToolResultsPayload { run { model } }'),
      variables: (ids) => ({ input: { runId: ids.Run, results: [{ toolCallId: 'call', content: 'mine' }] } }),
      refused: notFound('submitToolResults'),
    },
  ],
}
