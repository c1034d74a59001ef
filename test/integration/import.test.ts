import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { query } from '../support/postgres.ts'
import { documentOf, hello, type Imports, startImports } from './import.harness.ts'

let imports: Imports
beforeAll(async () => {
  imports = await startImports()
})

const fixture = (name: string) => readFile(join(import.meta.dirname, '../fixtures', name), 'utf8')

describe('an import', () => {
  it('repeated under its key gives the same sessions, under another file a conflict', async () => {
    const content = await fixture('chatgpt-conversations.json')
    const input = { content, clientId: 'my-history' }
    const racing = await Promise.all([imports.importInto(input), imports.importInto(input)])
    expect(racing[0].sessions).toHaveLength(2)
    expect(racing[1]).toEqual(racing[0])
    expect(await imports.importInto(input)).toEqual(racing[0])
    expect(await imports.importInto({ ...input, content: documentOf([hello]) })).toMatchObject({
      code: 'CONFLICT',
    })
  })

  it('leaves active sessions alone', async () => {
    const alice = imports.app.api({ user: 'busy' })
    const ids = await Promise.all([1, 2, 3, 4, 5].map(() => alice.createSession({ agent: 'research' })))
    const stored = await imports.importInto(
      { content: documentOf([hello]), agent: 'research' },
      { user: 'busy' },
    )
    expect(stored.sessions).toMatchObject([{ isActive: false, agent: { key: 'research' } }])
    const { sessions } = await alice.run('{ sessions(filter: { isActive: true }) { nodes { id } } }')
    expect(sessions.nodes.map(({ id }: { id: string }) => id).sort()).toEqual(ids.sort())
  })

  it('has been read by who imported it', async () => {
    const reply = { role: 'ASSISTANT', content: 'Hello' }
    const { session } = await imports.importInto({ content: documentOf([hello, reply]) })
    const read = 'query ($id: ID!) { session(id: $id) { viewerUnread viewerLastReadSeq } }'
    expect(await imports.app.api().run(read, { id: session.id })).toEqual({
      session: { viewerUnread: 0, viewerLastReadSeq: 2 },
    })
  })

  it('ends a reply that was being written, and takes no time that cannot be', async () => {
    const before = Date.now()
    const stored = await imports.importInto({
      content: documentOf([
        { ...hello, createdAt: '2020-02-02T02:02:02.020Z' },
        { role: 'ASSISTANT', content: 'Half', status: 'STREAMING' },
        { ...hello, createdAt: '1850-01-01T00:00:00Z' },
        { ...hello, createdAt: '2999-01-01T00:00:00Z' },
      ]),
    })
    const messages = await imports.messagesOf(stored.session.id)
    expect(messages[1]).toMatchObject({ status: 'INTERRUPTED', finishReason: 'OTHER' })
    expect(messages[1].createdAt).toBe('2020-02-02T02:02:02.020Z')
    for (const { createdAt } of messages.slice(2)) {
      expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before)
      expect(Date.parse(createdAt)).toBeLessThanOrEqual(Date.now())
    }
  })

  it('puts no words into the mouth of another user, unless an admin says so', async () => {
    await imports.app.api({ user: 'bob' }).createSession()
    const content = documentOf([{ ...hello, author: 'bob' }, hello, { ...hello, author: 'nobody-here' }])
    const authors = async (identity: object) => {
      const { session } = await imports.importInto({ content }, identity)
      const messages = await imports.messagesOf(session.id, { role: 'ADMIN', user: 'root' })
      return messages.map(({ author }: { author: { externalId: string } | null }) => author?.externalId)
    }
    expect(await authors({ user: 'mallory' })).toEqual([undefined, 'mallory', undefined])
    expect(await authors({ user: 'root', role: 'ADMIN' })).toEqual(['bob', 'root', undefined])
  })

  it('is for another owner only where the viewer acts for the tenant', async () => {
    const { viewer } = await imports.app.api({ user: 'bob' }).run('{ viewer { user { id } } }')
    const input = { content: documentOf([hello]), userId: viewer.user.id }
    expect(await imports.importInto(input, { user: 'mallory' })).toMatchObject({ code: 'FORBIDDEN' })
    expect(await imports.importInto(input, { user: 'svc', role: 'SERVICE' })).toMatchObject({
      sessions: [{ user: { externalId: 'bob' } }],
    })
    const foreign = { ...input, content: documentOf([hello]) }
    expect(
      await imports.importInto(foreign, { user: 'svc', role: 'SERVICE', tenant: 'other' }),
    ).toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('may be for one who has never signed in, whose record is made once the file is known to be sound', async () => {
    const service = { user: 'svc', role: 'SERVICE' } as const
    const input = { content: documentOf([hello]), externalUserId: 'newcomer' }
    const users = async () => {
      const found = 'SELECT external_id FROM users WHERE external_id = $1'
      return (await query(imports.app.databaseUrl, found, { values: [input.externalUserId] })).length
    }
    expect(await imports.importInto(input, { user: 'mallory' })).toMatchObject({ code: 'FORBIDDEN' })
    expect(await imports.importInto({ ...input, content: '{' }, service)).toMatchObject({
      code: 'BAD_USER_INPUT',
    })
    expect(await users()).toBe(0)
    const owned = { sessions: [{ user: { externalId: 'newcomer' } }] }
    expect(await imports.importInto(input, service)).toMatchObject(owned)
    const { viewer } = await imports.app.api({ user: 'newcomer' }).run('{ viewer { user { id } } }')
    expect(await imports.importInto({ ...input, userId: viewer.user.id }, service)).toMatchObject({
      message: 'externalUserId: cannot be combined with userId',
    })
    expect(await imports.importInto({ ...input, externalUserId: '' }, service)).toMatchObject({
      fields: [{ path: 'externalUserId' }],
    })
  })

  it('forgets a model that is not to be had here', async () => {
    const stored = await imports.importInto({ content: documentOf([hello], { model: 'elsewhere:large' }) })
    expect(stored.sessions).toMatchObject([{ model: null }])
    expect(
      (await imports.importInto({ content: documentOf([hello], { model: 'demo:chat' }) })).sessions,
    ).toMatchObject([{ model: 'demo:chat' }])
  })

  it('stores nothing of a file whose last conversation is faulty', async () => {
    const before = await imports.countSessions()
    const list = [JSON.parse(documentOf([hello])), JSON.parse(documentOf([{ ...hello, role: 'ROBOT' }]))]
    const refused = await imports.importInto({ content: JSON.stringify(list) })
    expect(refused.fields).toMatchObject([{ path: 'content.1.messages.0.role' }])
    expect(await imports.countSessions()).toBe(before)
  })

  it('keeps a key named __proto__ where it is: a key', async () => {
    const content = `{"format":"parley/1","__proto__":{"x":1},"session":{"metadata":{"__proto__":{"polluted":true}}},
      "messages":[{"role":"USER","content":"Hi","__proto__":{"role":"ROBOT"}}]}`
    const { session } = await imports.importInto({ content })
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    const [row] = await query<{ metadata: string }>(
      imports.app.databaseUrl,
      `SELECT metadata::text FROM sessions WHERE title IS NULL ORDER BY id DESC LIMIT 1`,
    )
    expect(row?.metadata).toBe('{"__proto__": {"polluted": true}}')
    expect(await imports.messagesOf(session.id)).toMatchObject([{ role: 'USER', content: 'Hi' }])
  })

  it('takes an unknown agent of the file for none, an unknown one of the request for a fault', async () => {
    const content = documentOf([hello], { agent: 'who' })
    expect((await imports.importInto({ content })).sessions).toMatchObject([{ agent: null }])
    expect(await imports.importInto({ content, agent: 'who' })).toMatchObject({ code: 'NOT_FOUND' })
    for (const agent of ['', '\0', 'x'.repeat(101), 'agent_x'])
      expect(await imports.importInto({ content, agent })).toMatchObject({ code: 'BAD_USER_INPUT' })
    for (const clientId of ['', '\0', 'x'.repeat(256)])
      expect(await imports.importInto({ content, clientId })).toMatchObject({ code: 'BAD_USER_INPUT' })
  })

  it('is refused above the size of a body with the name of the setting', async () => {
    const { errors } = await imports.send('x'.repeat(8_388_608))
    expect(errors?.[0]?.message).toContain('HTTP_BODY_MAX_BYTES')
  })

  it('stores no message of a session whose last batch fails', async () => {
    const messages = Array.from({ length: 1_200 }, () => hello)
    await query(
      imports.app.databaseUrl,
      `ALTER TABLE messages ADD CONSTRAINT at_most CHECK (seq < 1100) NOT VALID`,
    )
    const before = await imports.countSessions()
    const { errors } = await imports.send(documentOf(messages))
    await query(imports.app.databaseUrl, 'ALTER TABLE messages DROP CONSTRAINT at_most')
    expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR')
    expect(await imports.countSessions()).toBe(before)
    expect(await imports.importInto({ content: documentOf(messages) })).toMatchObject({ messageCount: 1_200 })
  })
})
