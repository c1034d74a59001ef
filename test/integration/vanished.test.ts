import pg from 'pg'
import { beforeAll, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

it('what is removed between two statements of one request is not found, and no fault of the server', async () => {
  const alice = app.api()
  const sessionId = await alice.createSession()
  const { run } = await alice.sendMessage({ sessionId, content: 'Hello', wait: true })
  const { query } = pg.Client.prototype
  let isGone = false
  // As somebody would who purges the session once the run has been read, and before its question is.
  const spied = vi.spyOn(pg.Client.prototype, 'query').mockImplementation(async function (
    this: pg.Client,
    ...asked: unknown[]
  ) {
    const { text } = asked[0] as { text?: string }
    if (!isGone && /^SELECT .* FROM "public"."messages"/.test(text ?? '')) {
      isGone = true
      await alice.change('purgeSession', { sessionId })
    }
    return (query as (...args: unknown[]) => unknown).apply(this, asked)
  } as never)
  const read = 'query ($id: ID!) { node(id: $id) { ... on Run { status userMessage { content } } } }'
  const { data, errors } = await alice.send(read, { id: run.id }).finally(() => spied.mockRestore())
  expect(isGone).toBe(true)
  expect(data).toEqual({ node: null })
  expect(errors).toMatchObject([
    {
      path: ['node', 'userMessage'],
      extensions: { code: 'NOT_FOUND' },
      message: expect.stringMatching(/^No such userMessage/),
    },
  ])
})
