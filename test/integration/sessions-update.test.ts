import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { indexed } from './documents.harness.ts'

let app: TestApp
let alice: Api
let documentIds: string[]
beforeAll(async () => {
  app = await startTestApp({ env: { CHAT_METADATA_MAX_BYTES: '64' } })
  alice = app.api()
  documentIds = []
  for (const title of ['Ebb', 'Flood']) {
    const { document } = await alice.change('createDocument', { title, text: title }, 'document { id }')
    await indexed(alice, document.id)
    documentIds.push(document.id)
  }
})

const fields = `title titleSource agent { key } model systemPrompt parameters metadata tags isActive
  documents { id } contextPolicy { kind messages }`
const read = async (id: string) => {
  const { session, sessions } = await alice.run(
    `query ($id: ID!) { session(id: $id) { ${fields} } sessions(first: 1, orderBy: { field: UPDATED_AT }) { nodes { ${fields} } } }`,
    { id },
  )
  // What was changed last is on top there.
  expect(sessions.nodes).toEqual([session])
  return session
}

const empty = {
  ...{ title: null, titleSource: null, agent: null, model: null, systemPrompt: null, contextPolicy: null },
  ...{ parameters: {}, metadata: {}, tags: [], documents: [], isActive: true },
}

/** What a session shows after it was made or changed so: what is left out stays, null clears, the rest is replaced. */
function changed(session: Record<string, unknown>, input: Record<string, unknown>) {
  const { agent, documentIds, title, isActive, ...rest } = input
  const cleared = Object.entries(rest).map(([name, value]) => [
    name,
    value ?? empty[name as keyof typeof empty],
  ])
  return {
    ...session,
    ...Object.fromEntries(cleared),
    ...(title !== undefined && { title, titleSource: title === null ? null : 'PERSON' }),
    ...(agent !== undefined && { agent: agent === null ? null : { key: agent } }),
    ...(documentIds !== undefined && {
      documents: ((documentIds ?? []) as string[]).toSorted().map((id) => ({ id })),
    }),
    // A session is active or not: null says neither.
    ...(isActive != null && { isActive }),
  }
}
const shown = async (id: string) => {
  const session = await read(id)
  return {
    ...session,
    documents: session.documents.toSorted((a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)),
  }
}

const json = fc.dictionary(fc.string({ maxLength: 5 }), fc.oneof(fc.string({ maxLength: 5 }), fc.integer()), {
  maxKeys: 2,
})
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 3 })
const settings = {
  title: orNull(fc.constantFrom('One', 'Two')),
  agent: orNull(fc.constantFrom('primary', 'research', 'log_analysis', 'router')),
  model: orNull(fc.constant('demo:chat')),
  systemPrompt: orNull(fc.constantFrom('', 'Be brief.')),
  parameters: orNull(fc.constantFrom({ temperature: 0.5 }, { topK: 3, seed: 1 }, {})),
  metadata: orNull(json),
  tags: orNull(fc.subarray(['a', 'b', 'c'])),
  contextPolicy: orNull(fc.constant({ kind: 'LAST_MESSAGES', messages: 3 })),
}
const isActive = orNull(fc.boolean())

describe('a session', () => {
  it('that is made with nothing has nothing', async () => {
    expect(await shown(await alice.createSession())).toEqual(empty)
  })

  it('is what it was made and changed to, whatever of it is given, left out or cleared', async () => {
    const asked = (more: object = {}) =>
      fc.record({ ...settings, documentIds: orNull(fc.subarray(documentIds)), ...more }, { requiredKeys: [] })
    const { session: before } = await alice.change('createSession', {}, 'session { updatedAt }')
    let latest = before.updatedAt
    await fc.assert(
      fc.asyncProperty(
        asked(),
        fc.array(asked({ isActive }), { minLength: 1, maxLength: 4 }),
        async (made, changes) => {
          const sessionId = await alice.createSession(made)
          let expected = changed(empty, made)
          expect(await shown(sessionId)).toEqual(expected)
          for (const change of changes) {
            const { session } = await alice.change(
              'updateSession',
              { sessionId, ...change },
              'session { updatedAt lastMessageAt messageCount }',
            )
            expect(session).toMatchObject({ lastMessageAt: null, messageCount: 0 })
            expect(session.updatedAt >= latest).toBe(true)
            latest = session.updatedAt
            expected = changed(expected, change)
            expect(await shown(sessionId)).toEqual(expected)
          }
          await alice.change('purgeSession', { sessionId })
        },
      ),
      { numRuns: 25 },
    )
  })

  it('has metadata of the size that is set, and no more', async () => {
    // Two bytes are of the letter, eight are of the rest.
    const sized = (bytes: number) => ({ a: `ä${'x'.repeat(bytes - 10)}` })
    const sessionId = await alice.createSession({ metadata: sized(64) })
    expect(
      await alice.mutate('updateSession', { sessionId, title: 'Other', metadata: sized(65) }),
    ).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'metadata: has 65 bytes as JSON; at most 64 are allowed',
    })
    expect(await shown(sessionId)).toEqual({ ...empty, metadata: sized(64) })
    expect(await alice.mutate('createSession', { metadata: sized(65) })).toMatchObject({
      code: 'BAD_USER_INPUT',
    })
  })
})

it('a new tenant has agents to choose from, by their keys', async () => {
  const api = app.api({ tenant: 'fresh' })
  const { agents } = await api.run('{ agents { key name isActive } }')
  expect(agents.map(({ key }: { key: string }) => key).toSorted()).toEqual([
    'log_analysis',
    'primary',
    'research',
    'router',
  ])
  for (const { key, name } of agents) {
    const made = await api.change('createSession', { agent: key }, 'session { agent { key name } }')
    expect(made.session.agent).toEqual({ key, name })
  }
})
