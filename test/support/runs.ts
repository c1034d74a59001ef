import type { Api } from './api.ts'
import type { TestApp } from './app.ts'
import type { Watch } from './watch.ts'

const runFields = `id status error { code message } queuedAt startedAt firstTokenAt finishedAt timeToFirstTokenMs
  usage { inputTokens outputTokens cachedInputTokens }
  userMessage { seq content } assistantMessage { id seq status content finishReason inputTokens outputTokens
    toolCalls { id name arguments } }`

/** A run with all that it says about its end. */
// biome-ignore lint/suspicious/noExplicitAny: it comes as the API gave it
export async function readRun(api: Api, id: string): Promise<any> {
  return (await api.run(`query ($id: ID!) { run(id: $id) { ${runFields} } }`, { id })).run
}

/** Cancels, and gives the run as the payload has it. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function cancelRun(api: Api, runId: string): Promise<any> {
  const { cancelRun } = await api.run(
    `mutation ($runId: ID!) { cancelRun(input: { runId: $runId }) {
      ... on CancelRunPayload { run { ${runFields} } } ... on Error { code message } } }`,
    { runId },
  )
  return cancelRun.run ?? cancelRun
}

/** The feed of a session, attached: its snapshot has been told. */
export async function watchRuns(
  app: TestApp,
  sessionId: string,
  ...identity: Parameters<TestApp['socket']>
): Promise<Watch> {
  const watch = app.socket(...identity).watch(
    `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
      __typename cursor
      ... on RunQueued { run { id status } } ... on RunStarted { run { id status } }
      ... on RunRequiresAction { run { id status } } ... on RunFinished { run { id status } }
      ... on MessageRemoved { messageId }
      ... on MessageUpdated { message { id seq status content finishReason } }
      ... on TextDelta { messageId offset text }
      ... on ToolCallStarted { messageId toolCallId name }
      ... on ToolCallDelta { messageId toolCallId text }
      ... on ToolCallFinished { messageId toolCallId name arguments }
      ... on SessionDeleted { sessionId } } }`,
    { sessionId },
  )
  await watch.at(0)
  return watch
}

export const runEnd =
  (runId: string) =>
  (event: { __typename: string; run?: { id: string } }): boolean =>
    event.__typename === 'RunFinished' && event.run?.id === runId
