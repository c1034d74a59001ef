import { Client } from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openEventStream } from '../support/sse.ts'
import { createDocument, readyDocument } from './documents.harness.ts'

const subscription = `subscription ($id: ID!) {
  documentChanged(id: $id) { title status progress chunkCount error user { externalId } } }`

let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
})

const watch = (id: string, user = 'alice') => app.socket({ user }).watch(subscription, { id })
const remove = (documentId: string) => alice.change('deleteDocument', { documentId })

/** A chunk each. */
const entries = (count: number) =>
  Array.from({ length: count }, (_, index) => `entry${index} ${'lorem ipsum '.repeat(60)}`).join('\n\n')

describe('a document that is watched', () => {
  it('tells how far it is indexed, to its end, over both doors', async () => {
    const id = await createDocument(alice, { title: 'Long', text: entries(400) })
    const overSocket = watch(id)
    const overSse = openEventStream(app.url, app.token(), subscription, { id })
    for (const each of [overSocket, overSse]) {
      await each.until(({ status }) => status === 'READY')
      const shares = each.events.map(({ progress }) => progress)
      expect(shares).toEqual(shares.toSorted((a, b) => a - b))
      expect(each.events.at(-1)).toEqual({
        ...{ title: 'Long', status: 'READY', progress: 1, chunkCount: 400, error: null },
        user: { externalId: 'alice' },
      })
    }
    const anew = watch(id)
    expect(await anew.at(0)).toMatchObject({ status: 'READY' })
    // Long enough that its reader has a look in between, however fast the machine.
    await alice.change('updateDocument', { documentId: id, text: entries(2_000) })
    const onTheWay = await anew.until(({ progress }) => progress > 0 && progress < 1)
    expect(onTheWay).toMatchObject({ status: 'INDEXING', chunkCount: 400 })

    await alice.change('updateDocument', { documentId: id, title: 'Renamed' })
    for (const each of [overSocket, overSse]) await each.until(({ title }) => title === 'Renamed')
    await remove(id)
    await Promise.all([overSocket.ended, overSse.ended])
    expect([overSocket.failure, overSse.failure]).toEqual([undefined, undefined])
  })

  it('ends, and does not fail, where it goes while it is told', async () => {
    const id = await readyDocument(alice, { title: 'Going', text: 'x' })
    const watched = watch(id)
    await watched.at(0)
    // Whoever reads the users waits.
    const holder = new Client({ connectionString: app.databaseUrl })
    await holder.connect()
    await holder.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE')
    await holder.query(`UPDATE documents SET title = 'Gone', updated_at = now() WHERE title = 'Going'`)
    await holder.query('COMMIT; BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE')
    const waiting = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock'
      AND datname = current_database()`
    await expect.poll(async () => (await holder.query(waiting)).rows).toEqual([{ count: 1 }])
    await holder.query(`DELETE FROM documents WHERE title = 'Gone'; COMMIT`)
    await holder.end()
    await watched.ended
    expect(watched.failure).toBeUndefined()
  })

  it('tells why it cannot be read', async () => {
    const base64 = Buffer.from('%PDF-1.7 and no more').toString('base64')
    const id = await createDocument(alice, { mimeType: 'application/pdf', base64 })
    const failed = await watch(id).until(({ status }) => status === 'FAILED')
    expect(failed.error).toBe('The content is broken, or no PDF file.')
  })

  it('is told to those who see it, as long as they do', async () => {
    const bob = app.api({ user: 'bob' })
    await bob.run('{ viewer { role } }')
    const id = await readyDocument(alice, { title: 'Shared', text: 'For both of us.' })
    const refused = watch(id, 'bob')
    await refused.ended
    expect(refused.failure).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }])

    const sessionId = await alice.createSession({ documentIds: [id] })
    await alice.change('addParticipant', { sessionId, externalUserId: 'bob', role: 'VIEWER' })
    const shared = watch(id, 'bob')
    expect(await shared.at(0)).toMatchObject({ title: 'Shared', status: 'READY' })
    await alice.change('updateSession', { sessionId, documentIds: [] })
    const endedAtMs = performance.now()
    await shared.ended
    expect(performance.now() - endedAtMs).toBeLessThan(5_000)
    expect([shared.events.length, shared.failure]).toEqual([1, undefined])
  })
})
