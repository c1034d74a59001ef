import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const messageCount = 100_000
const megabyte = 1_048_576
/** All of the rows are over 60 MiB. */
const heldAtMost = 20 * megabyte

const messageLine = /^ {4}\{"id":"message_\w+","role":"USER","content":"(\d+) /

// What is left after a collection is what is held; heaps as they are say more of the collector's mood.
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
function heldBytes() {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let app: TestApp
let sessionId: string
beforeAll(async () => {
  app = await startTestApp()
  sessionId = await app.api().createSession()
  // Without the checks of foreign keys, which take most of the time.
  await query(
    app.databaseUrl,
    `INSERT INTO messages (tenant_id, session_id, id, seq, role, content)
      SELECT tenant_id, id, gen_random_uuid(), n, 'USER', n || repeat(' tides', 50)
      FROM sessions, generate_series(1, ${messageCount}) n WHERE id = '${decodeIdOf('Session', sessionId)}'`,
    { options: '-c session_replication_role=replica' },
  )
  await query(app.databaseUrl, `UPDATE sessions SET last_seq = $1, message_count = $1`, {
    values: [messageCount],
  })
})

async function download(format: string): Promise<IncomingMessage> {
  const mutation = `mutation ($input: ExportSessionInput!) {
    exportSession(input: $input) { ... on ExportSessionPayload { url } }
  }`
  const { exportSession } = await app.api().run(mutation, { input: { sessionId, format } })
  const [response] = (await once(get(`${app.url}${exportSession.url}`), 'response')) as [IncomingMessage]
  return response
}

describe('an export of 100,000 messages', () => {
  it('is whole, in order, and holds little of it at any time', async () => {
    let least = heldBytes()
    let grown = 0
    let seen = 0
    for await (const line of createInterface(await download('JSON'))) {
      const seq = messageLine.exec(line)?.[1]
      if (seq === undefined) continue
      seen += 1
      if (Number(seq) !== seen) expect(seq).toBe(String(seen))
      if (seen % 20_000 !== 0) continue
      const held = heldBytes()
      grown = Math.max(grown, held - least)
      // What ran before in this process may be let go of meanwhile.
      least = Math.min(least, held)
    }
    expect(seen).toBe(messageCount)
    expect(grown).toBeLessThan(heldAtMost)
  })

  it('waits for a reader that stops, and breaks off when the right to read ends', async () => {
    const before = heldBytes()
    const response = await download('MARKDOWN')
    const broken = once(response, 'error')
    await once(response, 'readable')
    await expect.poll(isDatabaseQuiet).toBe(true)
    expect(heldBytes() - before).toBeLessThan(heldAtMost)

    const remove = `mutation ($input: DeleteSessionInput!) {
      deleteSession(input: $input) { ... on DeleteSessionPayload { deletedAt } }
    }`
    await app.api().run(remove, { input: { sessionId } })
    response.resume()
    expect((await broken)[0]).toMatchObject({ message: 'aborted' })
  })
})

/** Whether nothing has been read from the database for a while. */
async function isDatabaseQuiet() {
  const [row] = await query<{ quiet: boolean }>(
    app.databaseUrl,
    `SELECT bool_and(state_change < now() - interval '500 ms') AS quiet FROM pg_stat_activity
      WHERE datname = current_database() AND query ~ '"agentKey"|"isVisible"' AND pid <> pg_backend_pid()`,
  )
  return row?.quiet
}
