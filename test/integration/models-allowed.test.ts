import { beforeAll, expect, it, vi } from 'vitest'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun } from '../support/runs.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [recording.provider] })
})

const bossOf = (tenant: string) => app.api({ user: 'root', role: 'ADMIN', tenant } satisfies Identity)
const refused = (id: string) => ({
  code: 'MODEL_UNAVAILABLE',
  message: `The model "${id}" is not allowed in this tenant.`,
})

it('only models that are allowed by name may be used where the tenant wants it so', async () => {
  const [boss, api] = [bossOf('strict'), app.api({ tenant: 'strict' })]
  const set = (input: object) => boss.mutate('setModelDefaults', { model, ...input }, 'model { isAllowed }')
  const policy = async (onlyAllowed: boolean) =>
    (await boss.mutate('setModelPolicy', { onlyAllowed }, 'modelPolicy { onlyAllowed }')).modelPolicy
  const create = () => api.mutate('createSession', { model }, '__typename')
  expect(await boss.run('{ modelPolicy { onlyAllowed } }')).toEqual({ modelPolicy: { onlyAllowed: false } })
  const sessionId = await api.createSession()
  // What was only given parameters was not allowed by name.
  expect((await set({ parameters: { topK: 3 } })).model).toEqual({ isAllowed: true })

  expect(await policy(true)).toEqual({ onlyAllowed: true })
  expect(await boss.run('{ modelPolicy { onlyAllowed } }')).toEqual({ modelPolicy: { onlyAllowed: true } })
  expect(await create()).toEqual(refused(model))
  expect(await api.sendMessage({ sessionId, content: 'Hi' })).toEqual(refused('demo:chat'))
  expect((await api.run('{ models { id } }')).models).toEqual([])
  expect((await boss.run('{ models { id isAllowed } }')).models).toContainEqual({
    id: model,
    isAllowed: false,
  })

  expect((await set({ isAllowed: true })).model).toEqual({ isAllowed: true })
  expect(await create()).not.toHaveProperty('code')
  expect((await api.run('{ models { id } }')).models).toEqual([{ id: model }])
  expect((await set({ isAllowed: null })).model).toEqual({ isAllowed: false })
  expect(await create()).toEqual(refused(model))

  expect(await policy(false)).toEqual({ onlyAllowed: false })
  expect(await create()).not.toHaveProperty('code')
  expect(await app.api().mutate('createSession', { model }, '__typename')).not.toHaveProperty('code')
})

it('a reply that waits for a model fails where it is forbidden meanwhile', async () => {
  const [boss, api] = [bossOf('waiting'), app.api({ tenant: 'waiting' })]
  const sessionId = await api.createSession({ model })
  await api.change('sendMessage', { sessionId, content: 'first' })
  const call = await recording.call(0)
  const { run } = await api.sendMessage({ sessionId, content: 'second' })
  expect(run.status).toBe('QUEUED')
  await boss.change('setModelDefaults', { model, isAllowed: false }, '__typename')
  call.tell(say('One'), end)
  await vi.waitFor(
    async () => expect(await readRun(api, run.id)).toMatchObject({ status: 'FAILED', error: refused(model) }),
    patience,
  )
  expect(recording.calls).toHaveLength(1)
})

it('settings are kept of so many models, and of none that was cleared', async () => {
  const boss = bossOf('full')
  const set = (name: string, input: object) =>
    boss.mutate('setModelDefaults', { model: `recorded:${name}`, ...input }, '__typename')
  await set('first', { isAllowed: false })
  await query(
    app.databaseUrl,
    `INSERT INTO model_settings (tenant_id, model, is_allowed)
     SELECT id, 'recorded:' || n, false FROM tenants, generate_series(1, 499) AS n WHERE slug = 'full'`,
  )
  const full = {
    code: 'LIMIT_EXCEEDED',
    message: 'The tenant has settings of 500 models; clear some before you set others.',
  }
  expect(await set('other', { isAllowed: false })).toEqual(full)
  expect(await set('first', { isAllowed: true })).not.toHaveProperty('code')
  expect(await boss.mutate('setModelPolicy', { onlyAllowed: true }, '__typename')).not.toHaveProperty('code')
  expect(await set('first', { isAllowed: null })).not.toHaveProperty('code')
  expect(await set('other', { isAllowed: false })).not.toHaveProperty('code')
})

it('settings of more models are not kept however many are set at once', async () => {
  const boss = bossOf('racing')
  const set = (name: string) =>
    boss.mutate('setModelDefaults', { model: `recorded:${name}`, isAllowed: false }, '__typename')
  await set('first')
  await query(
    app.databaseUrl,
    `INSERT INTO model_settings (tenant_id, model, is_allowed)
     SELECT id, 'recorded:' || n, false FROM tenants, generate_series(1, 489) AS n WHERE slug = 'racing'`,
  )
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => set(`racing-${index}`)))
  expect(answers.filter(({ code }) => code === undefined)).toHaveLength(10)
  const [held] = await query<{ count: number }>(
    app.databaseUrl,
    `SELECT count(*)::int AS count FROM model_settings s JOIN tenants t ON t.id = s.tenant_id WHERE t.slug = 'racing'`,
  )
  expect(held).toEqual({ count: 500 })
})
