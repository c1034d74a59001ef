import { createSecretKey } from 'node:crypto'
import { isInputObjectType, isInterfaceType, isObjectType } from 'graphql'
import { beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'
import { createApi } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { withStoppedClock } from '../support/clock.ts'
import { alice, encode, forge, hs256, now } from '../support/forge.ts'
import { openFrames } from '../support/frames.ts'
import { openLiveDoors } from '../support/live-doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'
import { keptOut, letIn, outcomesOf } from '../support/token-doors.ts'

const issued = { iss: 'https://issuer.example', aud: 'parley' }
const good = () => ({ ...alice(), ...issued })

let bySecret: TestApp
beforeAll(async () => {
  bySecret = await startTestApp({ env: { JWT_ISSUER: issued.iss, JWT_AUDIENCE: issued.aud } })
})
besideNeighbour(() => bySecret)

it('lets in who has a good token', async () => {
  expect(await outcomesOf(bySecret, hs256(good()))).toMatchObject(letIn)
})

const without = (name: string) => Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name))

const ownSecret = createSecretKey(Buffer.from('o'.repeat(64)))
const ownJwk = ownSecret.export({ format: 'jwk' })

it.each(['none', 'None', 'nOnE', ''])('row 51: a token of alg %j is refused by every door', async (alg) => {
  const reason = `The token is signed with ${alg || 'an unknown algorithm'}, allowed: HS256.`
  const unsigned = forge({ alg }, good())
  const [, , signature] = hs256(good()).split('.')
  for (const token of [unsigned, `${unsigned}${signature}`])
    expect(await outcomesOf(bySecret, token)).toMatchObject({ ...keptOut, reason })
})

it('row 51: a token that lost its signature is refused by every door', async () => {
  expect(await outcomesOf(bySecret, forge({ alg: 'HS256' }, good()))).toMatchObject(keptOut)
})

it.each<[string, string[]]>([
  [
    'row 54: an exp that is past, missing, no number or endless',
    [now() - 60, undefined, `${now() + 600}`, 1e20, -1].map((exp) => hs256({ ...good(), exp })),
  ],
  [
    'row 55: a token from the future',
    [hs256({ ...good(), nbf: now() + 120 }), hs256({ ...good(), iat: now() + 120 })],
  ],
  [
    'row 56: a wrong issuer or audience',
    [
      hs256({ ...good(), iss: 'https://other.example' }),
      hs256({ ...good(), aud: 'other' }),
      hs256({ ...good(), aud: ['other', 'another'] }),
      hs256(without('iss')),
      hs256(without('aud')),
    ],
  ],
  [
    'row 58: critical extensions, and a secret that the token brings along',
    [hs256(good(), { crit: ['b64'], b64: false }), forge({ alg: 'HS256', jwk: ownJwk }, good(), ownSecret)],
  ],
  [
    'row 59: a tenant that is changed, missing, empty, several, a number or all',
    [
      hs256(good()).replace(/\.[^.]+\./, `.${encode({ ...good(), tenant: 'other' })}.`),
      ...[undefined, '', ['demo'], 1, '*'].map((tenant) => hs256({ ...good(), tenant })),
    ],
  ],
  [
    'row 61: more than 8 KiB, and an encrypted token',
    [
      hs256({ ...good(), more: 'x'.repeat(9_000) }),
      `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..${['a', 'b', 'c'].join('.')}`,
    ],
  ],
])('%s is refused by every door', async (what, tokens) => {
  const isOfExp = what.startsWith('row 54')
  for (const token of tokens) {
    // A token that was good once has a code of its own, on which clients come again with another.
    const socket = isOfExp ? expect.stringMatching(/^440[13]$/) : '4401'
    expect(await outcomesOf(bySecret, token), token.slice(0, 200)).toMatchObject({ ...keptOut, socket })
  }
})

it('row 54: a token that was proven a moment ago is refused by every door once its time is over', async () => {
  await withStoppedClock(async (pass) => {
    const token = hs256({ ...good(), exp: now() + 5 })
    expect(await outcomesOf(bySecret, token)).toMatchObject(letIn)
    // Clocks may differ by half a minute.
    pass(34_000)
    expect((await createApi(bySecret.url, token).send('{ viewer { role } }')).errors).toBeUndefined()
    pass(1_000)
    expect(await outcomesOf(bySecret, token)).toMatchObject({ ...keptOut, socket: '4403' })
  })
})

describe('another tenant that is named beside the token', () => {
  const tenant = 'neighbours'
  const headers = { tenant, 'x-tenant': tenant, 'x-tenant-id': tenant }
  const body = { extensions: { tenant } }
  const ours = '{ viewer { tenant { slug } } }'

  it('row 60: counts for nothing at any door', async () => {
    const token = hs256(good())
    const authorization = `Bearer ${token}`
    const answer = await fetch(`${bySecret.url}/graphql?tenant=${tenant}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization, ...headers },
      body: JSON.stringify({ query: ours, variables: { tenant }, ...body }),
    })
    expect(await answer.json()).toEqual({ data: { viewer: { tenant: { slug: 'demo' } } } })

    const frames = await openFrames(bySecret.url, { headers, params: { authorization, ...headers } })
    frames.send({ id: '1', type: 'subscribe', payload: { query: ours, variables: { tenant }, ...body } })
    const { payload } = await frames.until(({ id }) => id === '1')
    expect(payload).toEqual({ data: { viewer: { tenant: { slug: 'demo' } } } })
    frames.socket.terminate()

    const list = 'subscription { sessionChanged { sessionId } }'
    const stream = openEventStream(bySecret.url, token, list, { tenant }, { headers, body })
    expect(await stream.at(0)).toEqual({ sessionId: null })
    // The same user's there would be told first.
    await createApi(bySecret.url, hs256({ ...good(), tenant })).createSession()
    const sessionId = await createApi(bySecret.url, token).createSession()
    expect(await stream.at(1)).toEqual({ sessionId })
    stream.cut()
  })

  it('row 60: is no argument of anything', async () => {
    const named = Object.values(schema.getTypeMap()).flatMap((type) => {
      if (isInputObjectType(type)) return Object.keys(type.getFields()).map((name) => `${type}.${name}`)
      if (!isObjectType(type) && !isInterfaceType(type)) return []
      return Object.values(type.getFields()).flatMap((field) =>
        field.args.map(({ name }) => `${type}.${field.name}.${name}`),
      )
    })
    expect(named).toContain('CreateSessionInput.title')
    expect(named).toContain('Query.sessions.filter')
    expect(named.filter((name) => /tenant[^.]*$/i.test(name))).toEqual([])

    const token = hs256(good())
    const { errors } = await createApi(bySecret.url, token).send(
      `{ sessions(tenant: "${tenant}") { totalCount } }`,
    )
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }])
    const list = `subscription { sessionChanged(tenant: "${tenant}") { sessionId } }`
    expect((await openEventStream(bySecret.url, token, list).response).status).toBe(400)
    const frames = await openFrames(bySecret.url, { params: { token } })
    frames.subscribe('1', list)
    expect(await frames.until(({ id }) => id === '1')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    })
    frames.socket.terminate()
  })
})

describe('row 62', () => {
  it('what is open as its token expires ends by every door, and goes on with a fresh one', async () => {
    const { url } = bySecret
    const api = createApi(url, hs256(good()))
    const sessionId = await api.createSession()
    const { frames, stream } = await openLiveDoors(url, hs256({ ...good(), exp: now() + 3 }), sessionId)
    const after = (await stream.at(0)).cursor
    expect((await frames.closed).code).toBe(4403)
    await expect.poll(() => stream.failure, { timeout: 10_000 }).toBeDefined()

    await api.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'Meanwhile' }] })
    const missed = { __typename: 'MessageAdded', message: { content: 'Meanwhile' } }
    const token = hs256({ ...good(), exp: now() + 500 })
    const again = openEventStream(url, token, watchSession, { sessionId, after })
    expect(await again.at(0)).toMatchObject(missed)
    const socket = await openFrames(url, { params: { token } })
    socket.subscribe('1', watchSession, { sessionId, after })
    expect((await socket.until(({ id }) => id === '1')).payload.data.sessionEvents).toMatchObject(missed)
    again.cut()
    socket.socket.terminate()
  })

  it('a token that was revoked is refused by every door', async () => {
    const token = hs256({ ...good(), jti: 'left' })
    expect(await outcomesOf(bySecret, token)).toMatchObject(letIn)
    const admin = createApi(bySecret.url, hs256({ ...good(), sub: 'root', role: 'admin' }))
    await admin.change('revokeTokens', { tokenId: 'left' })
    expect(await outcomesOf(bySecret, token)).toMatchObject({ ...keptOut, socket: '4403' })
  })
})
