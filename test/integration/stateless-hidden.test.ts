import { beforeAll, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { type Ids, waysFromQuery } from '../support/ways.ts'
import { complete, user } from './stateless.harness.ts'

const word = 'xylophone'
const tenant = 'hidden'

/** What a stateless run takes is counted, and the node has numbers of its own. */
const mayChange = /^(systemStatus|usage|viewer \{ quota)/
const leftOut = ['UserStats.tokens']

let app: TestApp
let carol: Api
let admin: Api
let ids: Ids
beforeAll(async () => {
  app = await startTestApp()
  carol = app.api({ user: 'carol', tenant })
  admin = app.api({ user: 'root', role: 'ADMIN', tenant })
  const session = await carol.createSession({ title: 'Tides' })
  const sent = await carol.sendMessage({ sessionId: session, content: 'Hello', wait: true })
  ids = { session, message: sent.assistantMessage.id, run: sent.run.id }
})

/** What each way answers to each of the two. */
async function look(ways: readonly string[]): Promise<Map<string, string>> {
  const answers = new Map<string, string>()
  for (const [who, api] of Object.entries({ carol, admin }))
    for (const way of ways) answers.set(`${way} for ${who}`, JSON.stringify(await api.send(`{ ${way} }`)))
  return answers
}

it('no list, count, search or statistic tells of a stateless run', async () => {
  const ways = waysFromQuery(ids, { word, leftOut })
  expect(ways.some((way) => /^sessions \{ nodes \{ messages \{ nodes \{ .*content/.test(way))).toBe(true)
  const before = await look(ways)
  const { run, assistantMessage } = await complete(carol, { messages: [user(`A ${word}`)], wait: true })
  expect(run.status).toBe('COMPLETED')
  const [place] = await query<{ id: string }>(
    app.databaseUrl,
    'SELECT session_id AS id FROM runs WHERE id = $1',
    { values: [decodeId(run.id).uuid] },
  )
  const after = await look(ways)
  const secrets = [encodeId('Session', place?.id ?? ''), run.id, assistantMessage.id]
  const changed = [...after].filter(
    ([way, answer]) =>
      (answer !== before.get(way) && !mayChange.test(way)) ||
      secrets.some((secret) => answer.includes(secret)),
  )
  expect(changed).toEqual([])
})
