import { beforeAll, describe, expect, it } from 'vitest'
import { newId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'

let app: TestApp
let sessionId: string
let otherId: string
let replyId: string
beforeAll(async () => {
  app = await startTestApp()
  const alice = app.api()
  otherId = await alice.createSession({ title: 'Other' })
  sessionId = await alice.createSession({ title: 'Own' })
  const sent = await alice.sendMessage({ sessionId, content: 'Hello', wait: true })
  replyId = sent.assistantMessage.id
})
besideNeighbour(() => app)

const list = `query ($first: Int, $after: Cursor, $last: Int, $before: Cursor, $offset: Int, $orderBy: SessionOrder! = { field: CREATED_AT }, $filter: SessionFilter) {
  sessions(first: $first, after: $after, last: $last, before: $before, offset: $offset, orderBy: $orderBy, filter: $filter) {
    totalCount nodes { id } pageInfo { startCursor endCursor } } }`
const messages = `query ($id: ID!, $first: Int, $after: Cursor, $last: Int, $before: Cursor, $offset: Int) {
  session(id: $id) { messages(first: $first, after: $after, last: $last, before: $before, offset: $offset) {
    nodes { id } pageInfo { endCursor } } } }`
const observed = messages.replace('session(id: $id) {', 'session(id: $id) { cursor')

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe.each(doorNames)('over %s', (door) => {
  /** Whatever is asked in these ways is refused with this text. */
  async function refused(cases: [string, Record<string, unknown>, string][]) {
    const doors = await openDoors(app.url, app.token())
    const wrong: unknown[] = []
    for (const [operation, variables, says] of cases) {
      const answer = await doors[door](operation, variables)
      const [error] = answer?.errors ?? []
      if (error?.extensions.code !== 'BAD_USER_INPUT' || !error.message.includes(says))
        wrong.push({
          variables: JSON.stringify(variables).slice(0, 200),
          says,
          answer: JSON.stringify(answer),
        })
    }
    expect(wrong).toEqual([])
    doors.close()
  }

  it('page sizes out of range', async () => {
    const sizes = (operation: string, max: number): [string, Record<string, unknown>, string][] => [
      ...['first', 'last'].flatMap((name) =>
        [0, -1, max + 1, 10_000, 2 ** 31 - 1].map(
          (size) =>
            [
              operation,
              { id: sessionId, [name]: size },
              `${name}: ${size} is out of range; allowed is 1 to ${max}`,
            ] as [string, Record<string, unknown>, string],
        ),
      ),
      [operation, { id: sessionId, first: 2 ** 31 }, 'first'],
      [operation, { id: sessionId, first: '2' }, 'first'],
      [operation, { id: sessionId, first: 1.5 }, 'first'],
      ...[-1, 1_000_001, 2 ** 31 - 1].map(
        (offset) =>
          [
            operation,
            { id: sessionId, offset },
            `offset: ${offset} is out of range; allowed is 0 to 1000000`,
          ] as [string, Record<string, unknown>, string],
      ),
      [operation, { id: sessionId, first: 1, last: 1 }, 'last: cannot be combined with first'],
    ]
    await refused([...sizes(list, 100), ...sizes(messages, 200), ...sizes(observed, 200)])
  })

  it('ways of paging that contradict each other', async () => {
    const { sessions } = await app.api().run(list, { first: 1 })
    const cursor = sessions.pageInfo.endCursor
    await refused([
      [list, { after: cursor, before: cursor }, 'before: cannot be combined with after'],
      [list, { after: cursor, last: 1 }, 'last: goes with before, not with after'],
      [list, { before: cursor, first: 1 }, 'first: goes with after, not with before'],
      [list, { after: cursor, offset: 1 }, 'offset: cannot be combined with after, before or last'],
      [list, { before: cursor, offset: 1 }, 'offset: cannot be combined with after, before or last'],
      [list, { last: 1, offset: 0 }, 'offset: cannot be combined with after, before or last'],
    ])
  })

  it('cursors that the list did not give out', async () => {
    const { sessions } = await app.api().run(list, { first: 1 })
    const { session } = await app.api().run(messages, { id: sessionId, first: 1 })
    const cursor: string = sessions.pageInfo.endCursor
    const [byCreation, stamp] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    // So that what is refused below is refused for its fault, not for its form.
    await app.api().run(list, { after: base64url([byCreation, stamp, newId()]) })
    const forged = [
      '',
      'x',
      cursor.slice(0, -4),
      cursor.slice(4),
      `${cursor}AAAA`,
      session.messages.pageInfo.endCursor,
      base64url(null),
      base64url({}),
      base64url([]),
      base64url([byCreation]),
      base64url([byCreation, stamp]),
      base64url([byCreation, stamp, newId(), 1]),
      base64url([byCreation, null, newId()]),
      base64url([byCreation, 'yesterday', newId()]),
      base64url([byCreation, '2026-01-01', newId()]),
      base64url([byCreation, '2026-02-30 00:00:00+00', newId()]),
      base64url([byCreation, '2026-01-01 25:00:00+00', newId()]),
      base64url([byCreation, '0000-01-01 00:00:00+00', newId()]),
      base64url([byCreation, '2026-01-01 00:00:00.1234567+00', newId()]),
      base64url([byCreation, `${stamp}'`, newId()]),
      base64url([byCreation, 5, newId()]),
      base64url([byCreation, '+275760-09-13T00:00:00.000Z', newId()]),
      base64url([byCreation, '-271821-04-20T00:00:00.000Z', newId()]),
      base64url([byCreation, '0000-01-01T00:00:00.000Z', newId()]),
      base64url([byCreation, stamp, 'no uuid']),
      base64url([byCreation, stamp, '']),
      base64url([byCreation, stamp, "'; DROP TABLE sessions; --"]),
      base64url([byCreation, stamp, null]),
      base64url([byCreation, { gt: stamp }, newId()]),
      base64url(['createdAt desc,id asc', stamp, newId()]),
      'A'.repeat(100_000),
    ]
    const says = 'is not a cursor of this list in this order'
    await refused(
      forged.flatMap((text) => [
        [list, { after: text }, `after: ${says}`] as [string, Record<string, unknown>, string],
        [list, { before: text }, `before: ${says}`] as [string, Record<string, unknown>, string],
      ]),
    )
    const ofTitles = { field: 'TITLE', direction: 'ASC' }
    await refused([
      [list, { after: cursor, orderBy: ofTitles }, `after: ${says}`],
      [list, { after: cursor, orderBy: { field: 'CREATED_AT', direction: 'ASC' } }, `after: ${says}`],
      [list, { after: base64url(['title asc,id asc', '\0', newId()]), orderBy: ofTitles }, `after: ${says}`],
      [
        list,
        { after: base64url(['title asc,id asc', '\ud800', newId()]), orderBy: ofTitles },
        `after: ${says}`,
      ],
      [list, { after: base64url(['title asc,id asc', 7, newId()]), orderBy: ofTitles }, `after: ${says}`],
      ...[2 ** 31, 1e300, 1.5, '1', null].map(
        (seq) =>
          [messages, { id: sessionId, after: base64url(['seq asc', seq]) }, `after: ${says}`] as [
            string,
            Record<string, unknown>,
            string,
          ],
      ),
      [messages, { id: sessionId, after: cursor }, `after: ${says}`],
      [observed, { id: sessionId, after: cursor }, `after: ${says}`],
    ])
  })

  it('filters that no value can match', async () => {
    const says = 'cannot be stored'
    await refused([
      ...['a\0', '\ud800', '\udc00'].flatMap((text) =>
        [
          ['title', text],
          ['agent', text],
          ['model', text],
          ['tags', ['x', text]],
        ].map(
          ([name, value]) =>
            [list, { filter: { [name as string]: value } }, says] as [
              string,
              Record<string, unknown>,
              string,
            ],
        ),
      ),
      [list, { filter: { agent: 'agent_x' } }, 'filter.agent: "agent_x" is not an id'],
      [list, { filter: { agent: '' } }, 'filter.agent: is empty'],
      [
        'query ($filter: SearchFilter) { search(query: "x", filter: $filter) { totalCount } }',
        { filter: { agent: '' } },
        'filter.agent: is empty',
      ],
      [
        'query ($id: ID!) { session(id: $id) { messages(author: "") { nodes { id } } } }',
        { id: sessionId },
        'author: "" is not an id',
      ],
      [list, { filter: { title: 'x'.repeat(10_000) } }, 'filter.title: has 10000 characters; at most 255'],
      [list, { filter: { tags: Array(21).fill('x') } }, 'filter.tags: has more than 20 entries'],
      ...['createdAfter', 'createdBefore', 'lastMessageAfter', 'lastMessageBefore'].map(
        (name) =>
          [list, { filter: { [name]: '0000-01-01T00:00:00Z' } }, name] as [
            string,
            Record<string, unknown>,
            string,
          ],
      ),
    ])
  })

  it('more than 100 ids at once', async () => {
    await refused([
      [
        'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
        { ids: Array(101).fill(sessionId) },
        'at most 100',
      ],
    ])
  })

  it('cursors of no feed', async () => {
    const { session } = await app
      .api()
      .run('query ($id: ID!) { session(id: $id) { cursor } }', { id: sessionId })
    const [epoch = '', offset = ''] = session.cursor.split(':')
    const forged = [
      '',
      'x',
      `${epoch}:${offset}`,
      `${epoch}:-1:0`,
      `${epoch}:1e3:0`,
      `${epoch}:9999999999999999:0`,
      `${epoch}:0:9999999999`,
      `${session.cursor}:0`,
      `${session.cursor}\0`,
      `${session.cursor}\n`,
      `a b:0:0`,
      'A'.repeat(100_000),
    ]
    await refused(
      forged.flatMap((after) => [
        [
          'subscription ($id: ID!, $after: Cursor) { sessionEvents(sessionId: $id, after: $after) { cursor } }',
          { id: sessionId, after },
          'after: is not a cursor of a live feed',
        ] as [string, Record<string, unknown>, string],
        [
          'subscription ($id: ID!, $after: Cursor) { tokenStream(messageId: $id, after: $after) { cursor } }',
          { id: replyId, after },
          'after: is not a cursor of a live feed',
        ] as [string, Record<string, unknown>, string],
      ]),
    )
  })

  it('a feed cursor of another time or session is told as a gap', async () => {
    const doors = await openDoors(app.url, app.token())
    const cursorOf = async (id: string) => {
      const { session } = await app.api().run('query ($id: ID!) { session(id: $id) { cursor } }', { id })
      return session.cursor as string
    }
    const own = await cursorOf(sessionId)
    const [epoch, , revision] = own.split(':')
    const foreign = [
      `aaaaaaaaaaaa:0:${revision}`,
      `${epoch}:999999999999999:${revision}`,
      await cursorOf(otherId),
    ]
    for (const after of foreign) {
      const answer = await doors[door](
        `subscription ($id: ID!, $after: Cursor) { sessionEvents(sessionId: $id, after: $after) {
          cursor ... on SessionSnapshot { reason session { id } } } }`,
        { id: sessionId, after },
      )
      expect(answer?.data?.sessionEvents).toEqual({
        cursor: own,
        reason: 'GAP',
        session: { id: sessionId },
      })
    }
    doors.close()
  })
})
