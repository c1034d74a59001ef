import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { cancelRun } from '../support/runs.ts'
import { createMeteredProvider, measure, quotaOf, setQuota } from './quotas.harness.ts'

const { provider } = createMeteredProvider()
let app: TestApp
let count = 0
beforeAll(async () => {
  app = await startTestApp({ env: { RUNS_PER_USER: '5' }, providers: [provider] })
})

const step = fc.record({
  user: fc.integer({ min: 0, max: 1 }),
  session: fc.integer({ min: 0, max: 1 }),
  input: fc.integer({ min: 0, max: 1_000 }),
  output: fc.integer({ min: 0, max: 1_000 }),
  end: fc.constantFrom('stop', 'fail', 'tools', 'cancel-tools'),
})

const tokens = 'subscription ($id: ID!) { tokenStream(messageId: $id) { status } }'
const usage = `{ usage(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", interval: MONTH,
  groupBy: USER) { key inputTokens outputTokens } }`

it('stands at the sum of what was used, however runs ended and whatever was deleted', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      async (steps, isPurged) => {
        count += 1
        const tenant = `sum-${count}`
        const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
        const tools = [{ name: 'look', description: 'Looks.', parameters: { type: 'object' } }]
        await admin.change('createAgent', { key: 'looker', name: 'Looker', tools })
        const people = await Promise.all(
          ['alice', 'bob'].map(async (user) => {
            const api = app.api({ user, tenant })
            const socket = app.socket({ user, tenant })
            const sessions = [
              await api.createSession({ agent: 'looker', title: 'One' }),
              await api.createSession({ agent: 'looker', title: 'Two' }),
            ]
            return { api, socket, sessions, used: 0 }
          }),
        )
        const results = [{ toolCallId: 'call_1', content: 'seen' }]
        await Promise.all(
          people.map(async (person, index) => {
            for (const { user, session, input, output, end } of steps) {
              if (user !== index) continue
              const { api, socket, sessions } = person
              const script = { input, output, end: end === 'cancel-tools' ? ('tools' as const) : end }
              const run = await measure(api, sessions[session] ?? '', script)
              person.used += input + output
              if (end === 'cancel-tools')
                expect(await cancelRun(api, run.id)).toMatchObject({ status: 'CANCELLED' })
              if (end !== 'tools') continue
              // The script counts for each of its two replies.
              person.used += input + output
              const { assistantMessage } = await api.mutate(
                'submitToolResults',
                { runId: run.id, results },
                'assistantMessage { id }',
              )
              await socket.watch(tokens, { id: assistantMessage.id }).ended
            }
          }),
        )
        if (isPurged) {
          const [sessionId = ''] = people[0]?.sessions ?? []
          await people[0]?.api.change('deleteSession', { sessionId })
          await people[0]?.api.change('purgeSession', { sessionId })
        }
        await setQuota(app, tenant, { scope: 'EACH_USER', period: 'DAY', tokens: 0 })
        await setQuota(app, tenant, { scope: 'TENANT', period: 'MONTH', tokens: 0 })
        const all = people.reduce((sum, { used }) => sum + used, 0)
        for (const { api, used } of people) {
          expect(await quotaOf(api)).toMatchObject([
            { usedTokens: used },
            { scope: 'TENANT', usedTokens: all },
          ])
          const buckets: { inputTokens: number; outputTokens: number }[] = (await api.run(usage)).usage
          expect(buckets.reduce((sum, each) => sum + each.inputTokens + each.outputTokens, 0)).toBe(used)
        }
      },
    ),
    { numRuns: 12 },
  )
})
