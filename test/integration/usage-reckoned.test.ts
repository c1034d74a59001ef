import { beforeAll, describe, expect, it } from 'vitest'
import { type ModelPart, ProviderError } from '../../src/llm/provider.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createRecordingProvider, end, recordedModel, say } from '../support/recording-provider.ts'
import { cancelRun, readRun } from '../support/runs.ts'
import { preview } from './context.harness.ts'
import { quotaOf, setQuota } from './quotas.harness.ts'

const tool = (description: string, name = 'look') => ({ name, description, parameters: { type: 'object' } })

const recording = createRecordingProvider()
let app: TestApp
let count = 0

beforeAll(async () => {
  app = await startTestApp({ providers: [recording.provider] })
})

/** A run of a tenant of its own, with a question of ten tokens: four characters are taken for one. */
async function begin(agent = {}) {
  count += 1
  const tenant = `reckoned-${count}`
  const alice = app.api({ tenant })
  await app
    .api({ user: 'root', role: 'ADMIN', tenant })
    .change('createAgent', { key: 'a', name: 'A', ...agent })
  const sessionId = await alice.createSession({ agent: 'a' })
  await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 1 })
  const content = 'A question of forty characters, or so...'
  const coming = recording.call(recording.calls.length)
  const { run, assistantMessage } = await alice.sendMessage({ sessionId, content, model: recordedModel })
  return { tenant, alice, sessionId, run, assistantMessage, call: await coming }
}

describe('a reply that was stopped before its model told what it took', () => {
  it('is counted by what was sent and said', async () => {
    const { tenant, alice, run, assistantMessage, call } = await begin()
    const watch = app
      .socket({ tenant })
      .watch('subscription ($id: ID!) { tokenStream(messageId: $id) { text } }', { id: assistantMessage.id })
    call.tell(say('Twenty characters...'))
    await watch.until(({ text }) => text !== '')
    expect((await cancelRun(alice, run.id)).usage).toEqual({
      inputTokens: 10,
      outputTokens: 5,
      cachedInputTokens: 0,
    })
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: 15 }])
  })

  it.each<[string, ModelPart[]]>([
    ['had read the question', []],
    ['thought', [{ type: 'thinking' }]],
  ])('is counted by what was sent while it %s', async (_, parts) => {
    const { alice, run, call } = await begin()
    call.tell(...parts)
    expect((await cancelRun(alice, run.id)).usage).toMatchObject({ inputTokens: 10, outputTokens: 0 })
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: 10 }])
  })

  it('is counted with the definitions of its tools', async () => {
    const { alice, run, call } = await begin({ tools: [tool('x'.repeat(2_000))] })
    const { usage } = await cancelRun(alice, run.id)
    expect(usage.inputTokens).toBe(10 + Math.ceil(JSON.stringify(call.request.tools).length / 4))
  })

  it('is not counted where it was refused', async () => {
    const { alice, run, call } = await begin()
    call.tell({ type: 'error', error: new ProviderError('invalid', 'No.') })
    await expect.poll(async () => (await readRun(alice, run.id)).status).toBe('FAILED')
    expect(await quotaOf(alice)).toMatchObject([{ usedTokens: 0 }])
  })
})

it('is measured with the definitions of tools, so that they do not make other texts seem dear', async () => {
  const { alice, run, call } = await begin({
    tools: ['a', 'b', 'c', 'd'].map((name) => tool('x'.repeat(2_000), name)),
  })
  const inputTokens = Math.ceil((40 + JSON.stringify(call.request.tools).length) / 4)
  const usage = { inputTokens, outputTokens: 0, cachedInputTokens: 0 }
  call.tell(say('So'), { type: 'usage', usage }, end)
  await expect.poll(async () => (await readRun(alice, run.id)).status).toBe('COMPLETED')
  const other = await begin()
  const { parts, countedBy } = await preview(other.alice, other.sessionId, {
    content: 'y'.repeat(4_000),
    model: recordedModel,
  })
  expect(countedBy).toBe('MEASURED_RATIO')
  expect(parts.at(-1).tokens).toBeLessThan(1_020)
})
