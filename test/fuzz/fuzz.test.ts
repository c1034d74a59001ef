import { randomInt } from 'node:crypto'
import { expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { keepLog } from '../support/kept-log.ts'
import { neighbourBeside } from '../support/neighbour.ts'
import { fuzz } from './fuzz.ts'
import { createRandom } from './random.ts'

const seconds = Number(process.env.FUZZ_SECONDS ?? 15)
const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31))
const canary = 'canary-77b1'

it(`what is made at random from the schema finds no fault, no leak and no end: FUZZ_SEED=${seed}`, {
  timeout: (seconds + 60) * 1_000,
}, async () => {
  const { log, lines } = keepLog('error')
  const app = await startTestApp({ log })
  await neighbourBeside(app)
  const ids = [...(await idsOf('fuzz', 'words')), ...(await idsOf('other', canary))]

  async function idsOf(tenant: string, text: string): Promise<string[]> {
    const api = app.api({ user: 'fuzz-user', tenant })
    const session = await api.createSession({ title: text, systemPrompt: text })
    const sent = await api.sendMessage({ sessionId: session, content: text, wait: true })
    const { template } = await api.mutate('createTemplate', { name: text }, 'template { id }')
    const { viewer, agents } = await api.run('{ viewer { user { id } tenant { id } } agents { id } }')
    const { userMessage, assistantMessage, run } = sent
    const ids = [session, template, viewer.user, viewer.tenant, agents[0], userMessage, assistantMessage, run]
    return ids.map((each: string | { id: string }) => (typeof each === 'string' ? each : each.id))
  }

  const { asked, answered, findings } = await fuzz({ app, random: createRandom(seed), ids, canary, seconds })
  process.stdout.write(`fuzz: seed ${seed}, ${asked} operations, ${answered} of them answered\n`)
  const told = findings.map(({ sent, got, ...finding }) =>
    JSON.stringify({ ...finding, got, sent }).slice(0, 3_000),
  )
  // With what befell the server, under the ids that the answers name.
  expect(told.length === 0 ? [] : [...told, ...lines]).toEqual([])
  expect(answered).toBeGreaterThan(asked / 20)
})
