import { Client } from 'pg'
import { expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { watchSession } from '../support/session-reader.ts'

it('a crowd that subscribes at once does not make another tenant wait behind it', async () => {
  // Statements wait for a lock here, as long as a slow machine may take.
  const env = {
    DATABASE_POOL_SIZE: '2',
    DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    DATABASE_POOL_WAIT_MS: '30000',
  }
  const app = await startTestApp({ env })
  const reader = async (tenant: string) => {
    const params = { authorization: `Bearer ${app.token({ tenant })}` }
    const sessionId = await app.api({ tenant }).createSession()
    return { frames: await openFrames(app.url, { params }), variables: { sessionId } }
  }
  const [noisy, quiet] = [await reader('noisy'), await reader('quiet')]
  const lock = new Client({ connectionString: app.databaseUrl })
  await lock.connect()
  try {
    await lock.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
    for (let index = 0; index < 40; index += 1)
      noisy.frames.subscribe(`crowd-${index}`, watchSession, noisy.variables)
    // Read in its order: what comes behind it was read behind all of them.
    noisy.frames.send({ type: 'ping' })
    await noisy.frames.until(({ type }) => type === 'pong')
    quiet.frames.subscribe('alone', watchSession, quiet.variables)
    quiet.frames.send({ type: 'ping' })
    await quiet.frames.until(({ type }) => type === 'pong')
    await lock.query('COMMIT')
    await quiet.frames.until(({ id }) => id === 'alone')
    const begun = noisy.frames.received.filter(({ type }) => type === 'next').length
    await noisy.frames.until(({ id }) => id === 'crowd-39')
    expect(begun).toBeLessThan(20)
  } finally {
    await lock.end()
    for (const { frames } of [noisy, quiet]) frames.socket.terminate()
  }
})
