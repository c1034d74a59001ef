import { createHmac } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { createApi } from '../support/api.ts'
import { startTestApp } from '../support/app.ts'
import { alice, forge, pemOf, rsa } from '../support/forge.ts'
import { query } from '../support/postgres.ts'
import { type Exports, startExports } from './export.harness.ts'

let exports: Exports
beforeAll(async () => {
  exports = await startExports()
})

describe('a link', () => {
  it('is given only for what the viewer may read', async () => {
    const sessionId = await exports.conversation()
    expect(await exports.link(sessionId, { user: 'bob' })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await exports.link(sessionId, { tenant: 'other' })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await exports.link(sessionId, { user: 'root', role: 'ADMIN' })).toHaveProperty('url')
  })

  it('is for GET and HEAD', async () => {
    const { url } = await exports.link(await exports.conversation())
    const head = await exports.open(url, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([
      200,
      'application/json; charset=utf-8',
      '',
    ])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await exports.open(url, { method })
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  it('lives no longer than the token that asked for it', async () => {
    const sessionId = await exports.conversation({ user: 'brief' })
    const { expiresAt } = await exports.link(sessionId, { user: 'brief', expiresInSeconds: 60 })
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(60_000)
  })

  it.each([
    ['the session is deleted', `UPDATE sessions SET deleted_at = now() WHERE id = $1`],
    ['the participant is removed', `DELETE FROM participants WHERE session_id = $1`],
    ['the key is changed', `UPDATE tenants SET link_key = DEFAULT FROM sessions WHERE sessions.id = $1`],
  ])('leads nowhere once %s', async (_name, sql) => {
    const sessionId = await exports.conversation()
    const id = decodeIdOf('Session', sessionId)
    const { viewer } = await exports.app.api({ user: 'carol' }).run('{ viewer { user { id } } }')
    const values = [id, decodeIdOf('User', viewer.user.id)]
    const join = `INSERT INTO participants (tenant_id, session_id, user_id, role)
      SELECT tenant_id, id, $2, 'VIEWER' FROM sessions WHERE id = $1`
    await query(exports.app.databaseUrl, join, { values })
    const { url } = await exports.link(sessionId, { user: 'carol' })
    expect((await exports.open(url)).status).toBe(200)
    await query(exports.app.databaseUrl, sql, { values: [id] })
    expect((await exports.open(url)).status).toBe(404)
  })

  it.each(['user', 'token'])('leads nowhere once the %s that asked for it is revoked', async (what) => {
    const sessionId = await exports.conversation()
    const admin = exports.app.api({ user: 'root', role: 'ADMIN' })
    const caller = { user: `leaver-${what}`, role: 'ADMIN' } as const
    const token = exports.app.token(caller)
    const api = createApi(exports.app.url, token)
    const { viewer } = await api.run('{ viewer { user { id } } }')
    const { url } = await api.mutate('exportSession', { sessionId, format: 'JSON' }, 'url')
    const kept = await exports.link(sessionId, { user: 'root', role: 'ADMIN' })
    expect((await exports.open(url)).status).toBe(200)
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    await admin.change('revokeTokens', what === 'user' ? { userId: viewer.user.id } : { tokenId: jti })
    expect((await exports.open(url)).status).toBe(404)
    expect((await exports.open(kept.url)).status).toBe(200)
  })

  it('gives an admin that is none any more its own sessions alone', async () => {
    const demoted = { user: 'demoted', role: 'ADMIN' } as const
    const links = [await exports.conversation(), await exports.conversation(demoted)].map((sessionId) =>
      exports.link(sessionId, demoted),
    )
    const statuses = async () =>
      Promise.all(links.map(async (link) => (await exports.open((await link).url)).status))
    expect(await statuses()).toEqual([200, 200])
    // What its next token says.
    await exports.app.api({ user: 'demoted' }).run('{ viewer { role } }')
    expect(await statuses()).toEqual([404, 200])
  })

  it('leads nowhere when anything of it is changed', async () => {
    const mine = await exports.link(await exports.conversation())
    const others = await exports.link(await exports.conversation({ tenant: 'other' }), { tenant: 'other' })
    const [payload = '', proof = ''] = mine.url.slice('/exports/'.length).split('.')
    const grant = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const otherProof = others.url.split('.')[1]
    const [key] = await query<{ key: Buffer }>(
      exports.app.databaseUrl,
      `SELECT link_key AS key FROM tenants WHERE slug = 'other'`,
    )
    const encode = (changed: object) =>
      Buffer.from(JSON.stringify({ ...grant, ...changed })).toString('base64url')
    const sign = (text: string, by: Buffer) =>
      createHmac('sha256', by).update(`export:${text}`).digest('base64url')
    const byOther = encode({})
    const [own] = await query<{ key: Buffer }>(
      exports.app.databaseUrl,
      `SELECT link_key AS key FROM tenants WHERE slug = 'demo'`,
    )
    const ended = encode({ expiresAt: Date.now() - 1 })
    const nobody = encode({ userId: grant.tenantId, role: 'ADMIN' })
    if (!key || !own) throw new Error('There are two tenants.')
    // So that what follows is refused for its content, not for the way it is signed here.
    expect((await exports.open(`/exports/${byOther}.${sign(byOther, own.key)}`)).status).toBe(200)
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
      const response = await exports.open(`/exports/${token}`)
      expect([token, response.status]).toEqual([token, 404])
    }
  })

  it('opens on another node of the same database', async () => {
    const other = await startTestApp({ databaseUrl: exports.app.databaseUrl })
    const { url } = await exports.link(await exports.conversation())
    expect((await fetch(`${other.url}${url}`)).status).toBe(200)
  })

  it('needs no secret where tokens are proven by a public key', async () => {
    const { url } = await startTestApp({ env: { JWT_PUBLIC_KEY: pemOf(rsa.publicKey) } })
    const api = createApi(url, forge({ alg: 'RS256' }, alice(), rsa.privateKey))
    const sessionId = await api.createSession()
    const { exportSession } = await api.run(
      `mutation ($id: ID!) {
        exportSession(input: { sessionId: $id }) { ... on ExportSessionPayload { url } }
      }`,
      { id: sessionId },
    )
    expect((await fetch(`${url}${exportSession.url}`)).status).toBe(200)
  })
})
