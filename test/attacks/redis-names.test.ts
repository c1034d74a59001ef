import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'

const isInstalled = requireRedis()
let redis: TestRedis
let app: TestApp
/** Every command that Redis was sent, and those that its scripts ran. */
const commands: string[][] = []

beforeAll(async () => {
  if (!isInstalled) return
  redis = await startRedis()
  const monitor = await redis.admin.monitor()
  monitor.on('monitor', (_time: string, command: string[]) => void commands.push(command))
  // So much that nothing is refused, but counted.
  const rates = { REQUESTS_PER_SECOND: '10000', REQUESTS_BURST: '10000' }
  app = await startTestApp({ env: { REDIS_URL: redis.url, ...rates } })
  return () => monitor.disconnect()
})
if (isInstalled) {
  besideNeighbour(() => app)
}

/** In all ids that are tried. */
const mark = 'hostile'
const hostile = [
  `*${mark}*`,
  `session_*${mark}`,
  `session_{${mark}}`,
  `session:${mark}`,
  `}:log{${mark}`,
  `session_01h455vb4pex5vsknk084sn02q:${mark}`,
  `session_01h455vb4pex5vsknk084sn02q\n${mark}`,
  `*\r\nFLUSHALL\r\nSET ${mark} 1\r\n`,
]

/** What is done with an id that leads to a name in Redis, as soon as it is taken for one. */
const operations = {
  sessionEvents: 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }',
  messageAdded: 'subscription ($id: ID!) { messageAdded(sessionId: $id) { id } }',
  tokenStream: 'subscription ($id: ID!) { tokenStream(messageId: $id) { cursor } }',
  runEvents: 'subscription ($id: ID!) { runEvents(runId: $id) { cursor } }',
  documentChanged: 'subscription ($id: ID!) { documentChanged(id: $id) { id } }',
  setTyping:
    'mutation ($id: ID!) { setTyping(input: { sessionId: $id, isTyping: true }) { ... on Error { message } } }',
  cancelRun: 'mutation ($id: ID!) { cancelRun(input: { runId: $id }) { ... on Error { message } } }',
  present: 'query ($id: ID!) { session(id: $id) { present { id } } }',
  presentOfNode: 'query ($id: ID!) { node(id: $id) { ... on Session { present { id } cursor } } }',
}

/** What of the commands, a name as a rule, has this in it. */
const sentWith = (text: string) => [...new Set(commands.flat().filter((part) => part.includes(text)))]

const tellings = () =>
  commands.filter(([command, , , name]) => command === 'evalsha' && name?.includes(':rate:'))

describe.each(doorNames)('over %s', (door) => {
  it('row 68: no id that would mean something in the names of Redis is ever sent to it', async () => {
    const doors = await openDoors(app.url, app.token())
    const answers: [name: string, id: string, answer: string][] = []
    for (const id of hostile)
      for (const [name, operation] of Object.entries(operations))
        answers.push([name, id, JSON.stringify(await doors[door](operation, { id }))])
    // What was sent before this has come by then: it is followed, told and typed in by the same connections.
    const id = await app.api().createSession()
    const name = `{session:${decodeIdOf('Session', id)}}`
    await doors[door](operations.sessionEvents, { id })
    await doors[door](operations.setTyping, { id })
    await expect.poll(() => sentWith(`${name}:push`)).not.toEqual([])
    await expect.poll(() => sentWith(`{${decodeIdOf('Session', id)}}:who`)).not.toEqual([])
    doors.close()
    expect(sentWith(mark)).toEqual([])
    expect(sentWith('FLUSHALL')).toEqual([])
    for (const [name, id, answer] of answers) expect(answer, `${name} of ${id}`).toContain('is not an id')
  })

  it('row 68: nor is anything named by what callers call themselves and their things', async () => {
    const title = 'called:*{x}'
    const user = `${title} ${door}`
    const doors = await openDoors(app.url, app.token({ user }))
    const input = { title, clientId: user, tags: [title], metadata: { [title]: title } }
    const made = await doors[door](
      `mutation ($input: CreateSessionInput!) { createSession(input: $input) {
        ... on CreateSessionPayload { session { id } } } }`,
      { input },
    )
    const id = made?.data?.createSession.session.id
    await doors[door](operations.setTyping, { id })
    await doors[door](operations.sessionEvents, { id })
    await expect.poll(() => sentWith(`{${decodeIdOf('Session', id)}}:who`)).not.toEqual([])
    doors.close()
    // What requests cost is told later, together: once with what was under way, and once more.
    const before = tellings().length
    await expect
      .poll(async () => {
        await app.api().run('{ viewer { role } }')
        return tellings().length
      })
      .toBeGreaterThan(before + 1)
    const told = commands.flat().filter((part) => part.startsWith('parley:'))
    for (const kind of ['rate:user:', 'held:user:', ':push', ':log', ':who'])
      expect(
        told.some((name) => name.includes(kind)),
        kind,
      ).toBe(true)
    for (const names of [told, await redis.admin.keys('*')]) {
      expect(names.some((name) => name.includes(decodeIdOf('Session', id)))).toBe(true)
      expect(names.filter((name) => name.includes('called'))).toEqual([])
    }
  })
})
