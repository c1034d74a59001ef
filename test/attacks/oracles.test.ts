import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId } from '../../src/lib/ids.ts'
import { indexed } from '../integration/documents.harness.ts'
import { alice, fillForAlice } from '../integration/tenancy.harness.ts'
import { type Ids, matrix, ofEachType } from '../integration/tenancy.matrix.ts'
import type { Api } from '../support/api.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { openDoors } from '../support/doors.ts'
import { neighbourBeside } from '../support/neighbour.ts'
import { eachStatementOf } from '../support/statements.ts'

// What takes another time, comes in another place or counts otherwise for what somebody else has tells that it is there.
// A clock would tell little of that on a busy machine; the statements that are sent and the bytes that come back tell all.

let app: TestApp
let alices: Ids
beforeAll(async () => {
  app = await startTestApp()
  alices = await fillForAlice(app)
})

const strangers: [string, Identity][] = [
  ['a user of another tenant', { user: 'bob', tenant: 'globex' }],
  ['an admin of another tenant', { user: 'root', tenant: 'globex', role: 'ADMIN' }],
  ['another user of the tenant', { user: 'carol', tenant: alice.tenant }],
]

const nobodys = Object.fromEntries(ofEachType.map((type) => [type, encodeId(type, randomUUID())])) as Ids

it.each(strangers)(
  'row 65: what is hers costs %s the statements of what is not there',
  async (_who, stranger) => {
    await neighbourBeside(app, { isQuiet: true })
    const { http, close } = await openDoors(app.url, app.token(stranger))
    const ownSession = await app.api(stranger).createSession()
    const told: string[] = []
    for (const [name, cases] of Object.entries(matrix))
      for (const { operation, variables, isSharedInTenant } of cases) {
        if (!variables || (isSharedInTenant && stranger.tenant === alice.tenant)) continue
        const ask = async (ids: Ids) =>
          (await eachStatementOf(() => http(operation, variables(ids, ownSession)))).sort().join('\n')
        // What an answer before it left to be done may come between, and settings are read the first time.
        let [none, hers] = ['', '-']
        for (let tries = 0; tries < 4 && none !== hers; tries += 1)
          [none, hers] = [await ask(nobodys), await ask(alices)]
        if (none !== hers) told.push(`${name}: ${hers} for ${none}`)
      }
    expect(told).toEqual([])
    close()
  },
)

/** What somebody has whom others must not hear of: the same words, keys, tags and times as everybody's. */
async function fill(api: Api, times = 1): Promise<void> {
  const word = 'zebra'
  for (let count = 0; count < times; count += 1) {
    const session = await api.createSession({
      title: `Zebra ${count}`,
      tags: [word],
      metadata: { word },
      clientId: `${word}-${count}`,
    })
    await api.change('getOrCreateSession', { key: `${word}-${count}`, title: 'Zebra by key' })
    const messages = Array.from({ length: 3 }, (_, index) => ({
      role: 'USER',
      content: `${'zebra '.repeat(index + 1)}stripes`,
      clientId: `${word}-${index}`,
    }))
    await api.change('addMessages', { sessionId: session, messages })
    await api.change('sendMessage', { sessionId: session, content: 'zebra', clientId: 'zebra', wait: true })
    for (const place of [{ scope: 'USER' }, { scope: 'SESSION', sessionId: session }])
      await api.change('saveMemory', { ...place, key: word, value: word })
    const { document } = await api.change(
      'createDocument',
      { title: 'Zebra', text: `A zebra ${count} has stripes. `.repeat(count + 3), metadata: { word } },
      'document { id }',
    )
    await indexed(api, document.id)
  }
}

const page = 'totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }'
const sessionFields = `${page} edges { cursor node { id title messageCount lastMessage { content } viewerUnread cursor } }`
const day = 86_400_000
const around = `from: "${new Date(Date.now() - 30 * day).toISOString()}", to: "${new Date(Date.now() + day).toISOString()}"`

/** Everything that lists, counts, sorts, ranks or sums. */
const questions = [
  ...['LAST_MESSAGE_AT', 'UPDATED_AT', 'CREATED_AT', 'TITLE', 'MESSAGE_COUNT'].flatMap((field) =>
    ['ASC', 'DESC'].map((direction) => `sessions(orderBy: { field: ${field}, direction: ${direction} })`),
  ),
  ...[
    'title: "zebra"',
    'tags: ["zebra"]',
    'metadata: { word: "zebra" }',
    'isActive: true',
    'recentlyActive: true',
    'deleted: true',
    'model: "demo:chat"',
    'agent: "primary"',
  ].map((filter) => `sessions(filter: { ${filter} })`),
  'sessions(first: 1, offset: 1)',
  'sessions(last: 1)',
].map((list) => `{ ${list} { ${sessionFields} } }`)
questions.push(
  `{ search(query: "zebra stripes") { ${page} edges { cursor node { rank snippet { text } session { id } message { id } } } } }`,
  '{ retrieve(query: "zebra stripes", limit: 20) { score document { id } passage { text } } }',
  `{ documents { ${page} edges { cursor node { id title chunkCount } } } }`,
  `{ memories { ${page} edges { cursor node { id key value } } } }`,
  '{ userStats { totalSessions activeSessions totalMessages tokens cost sessionsByAgent { count } mostRecentSession { id } oldestSession { id } } }',
  `{ usage(${around}) { key sessions messages runs inputTokens outputTokens cost failures } }`,
  '{ viewer { unread quota { usedTokens usedCost } tenant { slug name } } }',
  '{ agents { key name } models { id status } limits { titleMaxLength } }',
)

const ids = /[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}/g

describe('row 65: what others have is in nothing that lists, counts, sorts, ranks or sums', () => {
  it.each([
    ['of another tenant', { user: 'reader', tenant: 'readers' }],
    ['of the same tenant', { user: 'reader', tenant: 'shared' }],
  ])('%s', async (_whose, reader) => {
    await neighbourBeside(app, { isQuiet: true })
    const api = app.api(reader)
    await fill(api, 2)
    const askAll = async () => {
      const answers: Record<string, string> = {}
      for (const question of questions) {
        const statements = await eachStatementOf(async () => {
          answers[question] = JSON.stringify(await api.run(question))
        })
        answers[`statements of ${question}`] = statements.join('\n')
      }
      return answers
    }
    await askAll()
    const before = await askAll()
    await fill(app.api({ user: 'hidden', tenant: 'shared' }), 4)
    expect(await askAll()).toEqual(before)
  })

  it('nor is a key that they use taken', async () => {
    await neighbourBeside(app, { isQuiet: true })
    const use = async (identity: Identity) => {
      const api = app.api(identity)
      await fill(api)
      const made = await api.run(
        `{ sessions { ${sessionFields} } documents { totalCount } memories { totalCount } }`,
      )
      return JSON.stringify(made).replace(ids, 'ID')
    }
    const masked = (text: string) => text.replace(/"(cursor|startCursor|endCursor)":"[^"]*"/g, '"$1":"-"')
    const first = masked(await use({ user: 'first', tenant: 'keys' }))
    expect(masked(await use({ user: 'second', tenant: 'keys' }))).toBe(first)
    expect(masked(await use({ user: 'first', tenant: 'other-keys' }))).toBe(first)
  })
})
