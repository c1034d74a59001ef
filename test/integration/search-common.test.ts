import { expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp } from '../support/app.ts'
import { query as sql } from '../support/postgres.ts'
import { addMessages, find, textsOf } from './search.harness.ts'

it('a common word is looked for in the latest conversations of those who search, page by page', async () => {
  const app = await startTestApp()
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((user) => app.api({ user })) as [Api, Api, Api]
  const [old, recent] = [
    await alice.createSession({ title: 'Old' }),
    await alice.createSession({ title: 'New' }),
  ]
  const bobs = await bob.createSession({ title: 'Other' })
  const [atMessageId] = await addMessages(alice, old, 'okapi old')
  await sql(
    app.databaseUrl,
    `INSERT INTO messages (tenant_id, id, session_id, seq, role, content)
       SELECT s.tenant_id, gen_random_uuid(), s.id, 10 + number, 'USER', 'okapi ' || number
       FROM sessions s, generate_series(1, 5001) AS number WHERE s.id = $1`,
    { values: [decodeId(bobs).uuid] },
  )
  await addMessages(alice, recent, 'okapi new', 'zebra', 'okapi okapi')

  const found = await find(alice, 'okapi')
  expect(textsOf(found).toSorted()).toEqual(['okapi new', 'okapi okapi', 'okapi old'])
  expect(found.totalCount).toBe(3)
  const first = await find(alice, 'okapi', { first: 2 })
  const second = await find(alice, 'okapi', { first: 2, after: first.pageInfo.endCursor })
  expect([...textsOf(first), ...textsOf(second)]).toEqual(textsOf(found))
  const ofOld = await find(alice, 'okapi', { filter: { sessionIds: [old] } })
  expect(textsOf(ofOld)).toEqual(['okapi old'])

  // A fork is younger than what it begins with.
  const forked = await alice.mutate(
    'forkSession',
    { sessionId: old, atMessageId },
    'session { id createdAt }',
  )
  const { id, createdAt } = forked.session
  const before = await find(alice, 'okapi', { filter: { createdBefore: createdAt, sessionIds: [id] } })
  expect(textsOf(before)).toEqual(['okapi old'])

  // The last 500 of the conversation are looked through.
  expect((await find(bob, 'okapi')).totalCount).toBe(500)
  for (const text of textsOf(await find(bob, 'okapi', { first: 50 })))
    expect(Number(text.replace('okapi ', ''))).toBeGreaterThan(4_501)
  expect((await find(carol, 'okapi')).totalCount).toBe(0)
})
