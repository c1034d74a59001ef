import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ExpiredTokenError } from '../../src/auth/jwt.ts'
import { alice, encode, hs256, now, refused, secret, tokensOf } from '../support/forge.ts'

describe('times', () => {
  test('an expired token is told apart, and says when', async () => {
    const exp = now() - 31
    const error = await refused(tokensOf(), hs256({ ...alice(), exp }))
    expect(error).toBeInstanceOf(ExpiredTokenError)
    expect(error.message).toBe(`The token has expired at ${new Date(exp * 1000).toISOString()}.`)
  })

  test('clocks may differ by half a minute', async () => {
    const payload = { ...alice(), exp: now() - 20, nbf: now() + 20, iat: now() + 20 }
    expect(await tokensOf().verify(hs256(payload))).toMatchObject({ subject: 'alice' })
  })

  test.each(['exp', 'nbf', 'iat'])('clocks may differ in %s as the setting has it', async (claim) => {
    const payload = { ...alice(), [claim]: now() + (claim === 'exp' ? -60 : 60) }
    const patient = tokensOf({ JWT_CLOCK_TOLERANCE_SECONDS: '90' })
    const claims = await patient.verify(hs256(payload))
    expect(claims).toMatchObject({ subject: 'alice' })
    if (claim === 'exp') expect(patient.holdsForMs(claims)).toBeGreaterThan(25_000)
    await refused(tokensOf({ JWT_CLOCK_TOLERANCE_SECONDS: '30' }), hs256(payload))
  })

  test.each([undefined, '9999999999', null, true, 1e20, 1.9e12])('an exp of %j is refused', async (exp) => {
    const error = await refused(tokensOf(), hs256({ ...alice(), exp }))
    expect(error).not.toBeInstanceOf(ExpiredTokenError)
    expect(error.message).toMatch(/exp/)
  })

  test.each([0, -1, -1e20])('an exp of %j is refused', async (exp) => {
    await refused(tokensOf(), hs256({ ...alice(), exp }))
  })

  test('an exp without end is refused', async () => {
    const payload = JSON.stringify({ ...alice(), exp: 0 }).replace('"exp":0', '"exp":1e999')
    const signed = `${encode({ alg: 'HS256' })}.${Buffer.from(payload).toString('base64url')}`
    await refused(tokensOf(), `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`)
  })

  test('a token from the future is refused', async () => {
    const early = await refused(tokensOf(), hs256({ ...alice(), nbf: now() + 60 }))
    expect(early.message).toMatch(/not valid before \d{4}-/)
    await refused(tokensOf(), hs256({ ...alice(), nbf: 1e20 }))
    const error = await refused(tokensOf(), hs256({ ...alice(), iat: now() + 60 }))
    expect(error.message).toMatch(/iat is in the future/)
  })
})
