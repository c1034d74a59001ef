import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startTestApp } from '../support/app.ts'

it("tells an operator's prices, and reckons by them", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-prices-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'prices.json')
  await writeFile(path, '{"demo:chat": {"input": 1000000, "output": 0}}')
  const own = await startTestApp({ env: { MODEL_PRICES_FILE: path } })
  onTestFinished(() => own.stop())
  const api = own.api()
  const { model } = await api.run('{ model(id: "demo:chat") { pricing { input output cachedInput } } }')
  expect(model.pricing).toEqual({ input: '1000000', output: '0', cachedInput: '1000000' })
  const sessionId = await api.createSession({ systemPrompt: '' })
  const { run } = await api.sendMessage({ sessionId, content: 'One two three', wait: true })
  const { session } = await api.run('query ($id: ID!) { session(id: $id) { usage { cost inputTokens } } }', {
    id: sessionId,
  })
  expect(Number(session.usage.cost)).toBe(run.usage.inputTokens)
  expect(run.usage.inputTokens).toBeGreaterThan(0)
})
