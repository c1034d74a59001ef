import { beforeAll, expect, it } from 'vitest'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
const admin: Identity = { user: 'root', role: 'ADMIN' }
const people = ['ann', 'ben', 'cem', '100%_sure']

beforeAll(async () => {
  app = await startTestApp()
  for (const user of people) await app.api({ user }).run('{ viewer { role } }')
  await app.api({ user: 'stranger', tenant: 'globex' }).run('{ viewer { role } }')
  await query(
    app.databaseUrl,
    `UPDATE users SET name = 'Dr ' || initcap(external_id), email = external_id || '@example.org'
     WHERE external_id = 'ben'`,
  )
})

async function list(args: string, identity = admin) {
  const { users } = await app
    .api(identity)
    .run(
      `{ users${args} { totalCount pageInfo { hasNextPage endCursor } nodes { externalId name email role } } }`,
    )
  return users
}
const names = ({ nodes }: { nodes: { externalId: string }[] }) => nodes.map(({ externalId }) => externalId)

it('lists the users of the tenant for admins, the newest first', async () => {
  const users = await list('')
  expect(names(users)).toEqual(['root', ...[...people].reverse()])
  expect(users.totalCount).toBe(5)
})

it('finds them by name, email and external id, in any case', async () => {
  expect(names(await list('(search: "DR B")'))).toEqual(['ben'])
  expect(names(await list('(search: "ben@EXAMPLE")'))).toEqual(['ben'])
  expect(names(await list('(search: "cem")'))).toEqual(['cem'])
  expect(names(await list('(search: "0%_S")'))).toEqual(['100%_sure'])
  expect(names(await list('(search: "%")'))).toEqual(['100%_sure'])
  expect(await list('(search: "stranger")')).toMatchObject({ totalCount: 0, nodes: [] })
})

it('pages', async () => {
  const first = await list('(first: 2)')
  expect(names(first)).toEqual(['root', '100%_sure'])
  const second = await list(`(first: 10, after: "${first.pageInfo.endCursor}")`)
  expect(names(second)).toEqual(['cem', 'ben', 'ann'])
  expect(second.pageInfo.hasNextPage).toBe(false)
  expect(names(await list('(offset: 4)'))).toEqual(['ann'])
})

it('is refused to users, and to pages and searches out of bounds', async () => {
  const codeOf = async (args: string, identity: Identity) =>
    (await app.api(identity).send(`{ users${args} { totalCount } }`)).errors?.[0]?.extensions.code
  expect(await codeOf('', {})).toBe('FORBIDDEN')
  expect(await codeOf('(first: 201)', admin)).toBe('BAD_USER_INPUT')
  expect(await codeOf(`(search: "${'x'.repeat(201)}")`, admin)).toBe('BAD_USER_INPUT')
  expect(await codeOf('(search: "\\u0000")', admin)).toBe('BAD_USER_INPUT')
})
