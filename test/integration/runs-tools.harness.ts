import { expect } from 'vitest'
import type { ModelPart } from '../../src/llm/provider.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createRecordingProvider, recordedModel as model, say } from '../support/recording-provider.ts'
import { watchRuns } from '../support/runs.ts'

export const parameters = { type: 'object', properties: { city: { type: 'string' } } }
const tools = [
  { name: 'get_weather', description: 'The weather in a city.', parameters },
  { name: 'book_flight', description: 'Books a flight.', parameters, requiresApproval: true },
]

/** Makes the agent `traveller`, which has one tool that needs approval and one that does not. */
export async function makeTraveller(app: TestApp) {
  const admin = app.api({ user: 'root', role: 'ADMIN' })
  const made = await admin.mutate('createAgent', { key: 'traveller', name: 'Traveller', tools })
  expect(made).not.toHaveProperty('code')
}

export type Calls = readonly { id: string; name: string }[]

/** The end of a reply that calls these tools. */
export const calling = (...calls: Calls): ModelPart[] => [
  ...calls.map(
    ({ id, name }): ModelPart => ({
      type: 'tool-call',
      call: { id, name, arguments: { city: 'Oslo' } },
    }),
  ),
  { type: 'usage', usage: { inputTokens: 10, outputTokens: 2, cachedInputTokens: 1 } },
  { type: 'end', finishReason: 'tool-calls' },
]

/** A whole reply without calls. */
export const saying = (text: string): ModelPart[] => [
  say(text),
  { type: 'usage', usage: { inputTokens: 20, outputTokens: 3, cachedInputTokens: 5 } },
  { type: 'end', finishReason: 'stop' },
]

export const weather = (id = 'call_1') => ({ id, name: 'get_weather' })

export const paused = (runId: string) => (event: { __typename: string; run?: { id: string } }) =>
  event.__typename === 'RunRequiresAction' && event.run?.id === runId

export const submit = (api: Api, runId: string, results: object[]) =>
  api.mutate(
    'submitToolResults',
    { runId, results },
    `run { id status } toolMessages { role content toolCallId metadata run { id } } assistantMessage { id status }`,
  )

export async function readPending(api: Api, id: string) {
  const { run } = await api.run(
    `query ($id: ID!) { run(id: $id) { status pendingToolCalls {
      toolCallId name arguments requiresApproval expiresAt } assistantMessage { id } } }`,
    { id },
  )
  return run
}

/** Two nodes that share a database alone, each with a model that the test plays. */
export async function startTravel() {
  const recordings = [createRecordingProvider(), createRecordingProvider()] as const
  const env = { RUNS_PER_USER: '100', MAX_SESSIONS_PER_AGENT: '100', RUN_MAX_TOOL_ROUNDS: '2' }
  const one = await startTestApp({ env, providers: [recordings[0].provider] })
  const other = await startTestApp({
    env,
    providers: [recordings[1].provider],
    databaseUrl: one.databaseUrl,
  })
  await makeTraveller(one)
  const alice = one.api()

  /** A session of the traveller, its feed, and where the calls of the first node begin that belong to it. */
  async function open() {
    const sessionId = await alice.createSession({ agent: 'traveller' })
    const watch = await watchRuns(one, sessionId)
    const before = recordings[0].calls.length
    /** A run that waits for the results of these calls. */
    const startPaused = async (...calls: Calls) => {
      const sent = await alice.sendMessage({ sessionId, content: 'How is it in Oslo?', model })
      const call = await recordings[0].call(before)
      call.tell(say('Let me see.'), ...calling(...calls))
      await watch.until(paused(sent.run.id))
      return { ...sent, call }
    }
    return { sessionId, watch, before, startPaused }
  }
  return { nodes: [one, other] as const, recordings, alice, open }
}

export type Travel = Awaited<ReturnType<typeof startTravel>>
export type TravelSession = Awaited<ReturnType<Travel['open']>>
