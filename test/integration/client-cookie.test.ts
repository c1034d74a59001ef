import { createParley, type Parley } from '@parley/client'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { COOKIE_SIGN_IN: 'true' } })
})

/** What a browser does of itself: it keeps the cookie, and says which page asks. */
async function asOnPage(token: string, transport: 'websocket' | 'sse') {
  const signedIn = await fetch(`${app.url}/sign-in`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  const cookie = String(signedIn.headers.get('set-cookie')).split(';', 1)[0] ?? ''
  const own = { cookie, origin: new URL(app.url).origin }
  const seen: RequestInit[] = []
  class PageSocket extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols, { headers: own })
    }
  }
  const parley = createParley({
    url: `${app.url}/graphql`,
    token: null,
    transport,
    webSocket: PageSocket,
    fetch: (input, init = {}) => {
      seen.push(init)
      return fetch(input, { ...init, headers: { ...init.headers, ...own } })
    },
  })
  const signOut = () =>
    fetch(`${app.url}/sign-out`, { method: 'POST', headers: { ...own, 'x-parley-csrf': '1' } })
  return { parley, seen, signOut }
}

async function reply(parley: Parley) {
  const session = await parley.createSession({ model: 'demo:chat' })
  const { message } = await session.send('/repeat The tide is low.').done
  return { session, content: message.content }
}

describe.each(['websocket', 'sse'] as const)('a client that holds no token, over %s', (transport) => {
  it('goes by the cookie of the sign-in', async () => {
    const { parley, seen } = await asOnPage(app.token(), transport)
    await using _ = parley
    expect(await reply(parley)).toMatchObject({ content: 'The tide is low.' })
    expect(seen.length).toBeGreaterThan(0)
    for (const { credentials, headers } of seen) {
      expect(credentials).toBe('include')
      expect(headers).not.toHaveProperty('authorization')
    }
  })

  it('is told when the sign-in has ended, and does not try again', async () => {
    const { parley, signOut } = await asOnPage(app.token(), transport)
    await using _ = parley
    const { session } = await reply(parley)
    const events = session.events({ after: (await session.read()).cursor })
    const ended = events.next()
    await signOut()
    await expect(ended).rejects.toMatchObject({ code: 'UNAUTHENTICATED', isTransient: false })
  })
})
