import { createHmac } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const exportMutation = `mutation ($input: ExportSessionInput!) {
  exportSession(input: $input) {
    ... on ExportSessionPayload { url expiresAt filename }
    ... on Error { code message }
  }
}`

const addMessages = `mutation ($input: AddMessagesInput!) {
  addMessages(input: $input) { ... on AddMessagesPayload { messages { id } } ... on Error { message } }
}`

async function link(sessionId: string, identity?: Identity, format = 'JSON') {
  const { exportSession } = await app.api(identity).run(exportMutation, { input: { sessionId, format } })
  return exportSession
}

const open = (url: string, init?: RequestInit) => fetch(`${app.url}${url}`, init)

async function conversation(identity?: Identity) {
  const api = app.api(identity)
  const sessionId = await api.createSession({ title: 'Über "Tides"/…', agent: 'primary', tags: ['sea'] })
  await api.sendMessage({ sessionId, content: 'Tell me about tides', wait: true })
  await api.run(addMessages, {
    input: {
      sessionId,
      messages: [
        { role: 'ASSISTANT', toolCalls: [{ id: 'c1', name: 'look_up', arguments: { place: 'Brest' } }] },
        { role: 'TOOL', toolCallId: 'c1', content: 'high at ```10:42```' },
        { role: 'USER', content: 'Thanks\n\n```js\nlet open = 1', metadata: { mood: 'good' } },
      ],
    },
  })
  return sessionId
}

describe('an export as JSON', () => {
  it('holds all of a session, in a file that is named after it', async () => {
    const sessionId = await conversation()
    const { url, filename, expiresAt } = await link(sessionId)
    expect(filename).toBe('Über-Tides.json')
    const lifeMs = Date.parse(expiresAt) - Date.now()
    expect(lifeMs).toBeGreaterThan(590_000)
    expect(lifeMs).toBeLessThanOrEqual(600_000)
    const response = await open(url)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-disposition': `attachment; filename="_ber-Tides.json"; filename*=UTF-8''%C3%9Cber-Tides.json`,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'transfer-encoding': 'chunked',
    })
    const document = JSON.parse(await response.text())
    expect(document).toMatchObject({
      format: 'parley/1',
      session: {
        id: sessionId,
        title: 'Über "Tides"/…',
        titleSource: 'PERSON',
        owner: 'alice',
        agent: 'primary',
        tags: ['sea'],
        forkedFrom: null,
      },
      messages: [
        { role: 'USER', content: 'Tell me about tides', author: 'alice', status: 'COMPLETE' },
        { role: 'ASSISTANT', agent: 'primary', model: 'demo:chat', finishReason: 'STOP' },
        {
          role: 'ASSISTANT',
          toolCalls: [{ id: 'c1', name: 'look_up', arguments: { place: 'Brest' } }],
        },
        { role: 'TOOL', toolCallId: 'c1', author: 'alice' },
        { role: 'USER', metadata: { mood: 'good' } },
      ],
    })
    expect(document.messages[1].outputTokens).toBeGreaterThan(0)
    expect(document.messages[0]).not.toHaveProperty('toolCalls')
  })

  it('holds older versions and the place that the session was forked from', async () => {
    const api = app.api()
    const source = await api.createSession()
    const sessionId = await api.createSession()
    const added = await api.run(addMessages, {
      input: { sessionId, messages: ['old', 'new'].map((content) => ({ role: 'USER', content })) },
    })
    const [old, current] = added.addMessages.messages.map(({ id }: { id: string }) =>
      decodeIdOf('Message', id),
    )
    await query(app.databaseUrl, 'UPDATE messages SET replaced_at = now() WHERE id = $1', { values: [old] })
    await query(app.databaseUrl, 'UPDATE messages SET replaces_id = $1 WHERE id = $2', {
      values: [old, current],
    })
    await query(app.databaseUrl, 'UPDATE sessions SET parent_id = $1, forked_at_seq = 3 WHERE id = $2', {
      values: [decodeIdOf('Session', source), decodeIdOf('Session', sessionId)],
    })
    const { session, messages } = JSON.parse(await (await open((await link(sessionId)).url)).text())
    expect(session.forkedFrom).toEqual({ session: source, seq: 3 })
    expect(messages).toMatchObject([
      { content: 'old', replacedAt: expect.stringMatching(/Z$/) },
      { content: 'new', replaces: added.addMessages.messages[0].id },
    ])
  })
})

describe('an export as Markdown', () => {
  it('can be read by people', async () => {
    const { url, filename } = await link(await conversation(), undefined, 'MARKDOWN')
    expect(filename).toBe('Über-Tides.md')
    const response = await open(url)
    expect(response.headers.get('content-type')).toBe('text/markdown; charset=utf-8')
    const text = (await response.text()).replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'NOW')
    const reply = text.slice(text.indexOf('## Assistant'), text.indexOf('## Assistant · NOW'))
    expect(reply).toContain('(demo:chat)')
    expect(text.replace(reply, '')).toBe(`# Über "Tides"/…

Started NOW · by alice · agent \`primary\`

## alice · NOW

Tell me about tides

## Assistant · NOW

Calls \`look_up\`:

\`\`\`json
{
  "place": "Brest"
}
\`\`\`

## Result of \`look_up\` · NOW

\`\`\`\`
high at \`\`\`10:42\`\`\`
\`\`\`\`

## alice · NOW

Thanks

\`\`\`js
let open = 1
\`\`\`
`)
  })

  it('leaves out what was replaced, and says how a reply ended', async () => {
    const api = app.api()
    const sessionId = await api.createSession()
    const messages = [
      { role: 'USER', content: 'The first try' },
      { role: 'USER', content: 'The second try' },
      { role: 'ASSISTANT', content: 'Half an' },
    ]
    await api.run(addMessages, { input: { sessionId, messages } })
    const where = `WHERE session_id = '${decodeIdOf('Session', sessionId)}'`
    await query(app.databaseUrl, `UPDATE messages SET replaced_at = now() ${where} AND seq = 1`)
    await query(app.databaseUrl, `UPDATE messages SET status = 'CANCELLED' ${where} AND seq = 3`)
    const text = await (await open((await link(sessionId, undefined, 'MARKDOWN')).url)).text()
    // The title is the first message's, as it was.
    expect(text.slice(text.indexOf('##'))).not.toContain('The first try')
    expect(text).toContain('Half an\n\n*(stopped)*\n')
  })
})

describe('a link', () => {
  it('is given only for what the viewer may read', async () => {
    const sessionId = await conversation()
    expect(await link(sessionId, { user: 'bob' })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await link(sessionId, { tenant: 'other' })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await link(sessionId, { user: 'root', role: 'ADMIN' })).toHaveProperty('url')
  })

  it('is for GET and HEAD', async () => {
    const { url } = await link(await conversation())
    const head = await open(url, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([
      200,
      'application/json; charset=utf-8',
      '',
    ])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await open(url, { method })
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  it('lives no longer than the token that asked for it', async () => {
    const sessionId = await conversation({ user: 'brief' })
    const { expiresAt } = await link(sessionId, { user: 'brief', expiresInSeconds: 60 })
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(60_000)
  })

  it.each([
    ['the session is deleted', `UPDATE sessions SET deleted_at = now() WHERE id = $1`],
    ['the participant is removed', `DELETE FROM participants WHERE session_id = $1`],
    ['the key is changed', `UPDATE tenants SET link_key = DEFAULT FROM sessions WHERE sessions.id = $1`],
  ])('leads nowhere once %s', async (_name, sql) => {
    const sessionId = await conversation()
    const id = decodeIdOf('Session', sessionId)
    const { viewer } = await app.api({ user: 'carol' }).run('{ viewer { user { id } } }')
    const values = [id, decodeIdOf('User', viewer.user.id)]
    const join = `INSERT INTO participants (tenant_id, session_id, user_id, role)
      SELECT tenant_id, id, $2, 'VIEWER' FROM sessions WHERE id = $1`
    await query(app.databaseUrl, join, { values })
    const { url } = await link(sessionId, { user: 'carol' })
    expect((await open(url)).status).toBe(200)
    await query(app.databaseUrl, sql, { values: [id] })
    expect((await open(url)).status).toBe(404)
  })

  it('leads nowhere when anything of it is changed', async () => {
    const mine = await link(await conversation())
    const others = await link(await conversation({ tenant: 'other' }), { tenant: 'other' })
    const [payload = '', proof = ''] = mine.url.slice('/exports/'.length).split('.')
    const grant = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const otherProof = others.url.split('.')[1]
    const [key] = await query<{ key: Buffer }>(
      app.databaseUrl,
      `SELECT link_key AS key FROM tenants WHERE slug = 'other'`,
    )
    const encode = (changed: object) =>
      Buffer.from(JSON.stringify({ ...grant, ...changed })).toString('base64url')
    const sign = (text: string, by: Buffer) =>
      createHmac('sha256', by).update(`export:${text}`).digest('base64url')
    const byOther = encode({})
    const [own] = await query<{ key: Buffer }>(
      app.databaseUrl,
      `SELECT link_key AS key FROM tenants WHERE slug = 'demo'`,
    )
    const ended = encode({ expiresAt: Date.now() - 1 })
    const nobody = encode({ userId: grant.tenantId })
    if (!key || !own) throw new Error('There are two tenants.')
    // So that what follows is refused for its content, not for the way it is signed here.
    expect((await open(`/exports/${byOther}.${sign(byOther, own.key)}`)).status).toBe(200)
    for (const token of [
      payload,
      `${payload}.`,
      `.${proof}`,
      `${payload}.${proof}.${proof}`,
      `${payload}.${otherProof}`,
      `${payload}.${proof.slice(0, -2)}`,
      `${encode({ sessionId: grant.userId })}.${proof}`,
      `${encode({ role: 'ADMIN' })}.${proof}`,
      `${encode({ expiresAt: grant.expiresAt + 1 })}.${proof}`,
      `${byOther}.${sign(byOther, key.key)}`,
      `${ended}.${sign(ended, own.key)}`,
      `${nobody}.${sign(nobody, own.key)}`,
      `${encode({ tenantId: "' OR true" })}.${proof}`,
      'a.b',
      'x'.repeat(2_000),
    ]) {
      const response = await open(`/exports/${token}`)
      expect([token, response.status]).toEqual([token, 404])
    }
  })

  it('opens on another node of the same database', async () => {
    const other = await startTestApp({ databaseUrl: app.databaseUrl })
    const { url } = await link(await conversation())
    expect((await fetch(`${other.url}${url}`)).status).toBe(200)
  })
})
