import { Client } from 'pg'
import { expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

it('a stream that is long in beginning begins whole, though signs of life are sent meanwhile', async () => {
  const patience = { DATABASE_STATEMENT_TIMEOUT_MS: '60000', DATABASE_POOL_WAIT_MS: '60000' }
  const app = await startTestApp({ env: patience })
  const sessionId = await app.api().createSession()
  const open = (count: number) =>
    Array.from({ length: count }, () => openEventStream(app.url, app.token(), watchSession, { sessionId }))
  // Its port decides in which second of twelve a stream is sent its sign.
  const opened = open(12)
  for (const stream of opened) await stream.at(0)

  const lock = new Client({ connectionString: app.databaseUrl })
  await lock.connect()
  await lock.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
  const late = open(24)
  const signsBefore = signsOf(opened)
  await expect.poll(() => signsOf(opened)).toBeGreaterThan(signsBefore + 2)
  await lock.end()
  for (const stream of late) expect(await stream.at(0)).toMatchObject({ __typename: 'SessionSnapshot' })
  for (const stream of [...opened, ...late]) stream.cut()
})

const signsOf = (streams: readonly { readonly comments: number }[]) =>
  streams.reduce((sum, { comments }) => sum + comments, 0)
