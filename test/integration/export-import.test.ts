import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
  await app.api({ user: 'bob' }).createSession()
  await app.api({ user: 'bob' }).mutate('createTemplate', { name: 'Review' })
})

type Part = Record<string, unknown>
type Document = { format: string; session: Part; messages: Part[] }

const importMutation = `mutation ($input: ImportSessionInput!) {
  importSession(input: $input) {
    ... on ImportSessionPayload { session { id messageCount } }
    ... on Error { message }
  }
}`
const exportMutation = `mutation ($input: ExportSessionInput!) {
  exportSession(input: $input) { ... on ExportSessionPayload { url } ... on Error { message } }
}`

/** An admin, who keeps every author. */
const admin = () => app.api({ user: 'root', role: 'ADMIN' })

async function importDocument(document: Document) {
  const { importSession } = await admin().run(importMutation, {
    input: { content: JSON.stringify(document) },
  })
  expect(importSession).toHaveProperty('session')
  return importSession.session
}

async function exportSession(sessionId: string): Promise<Document> {
  const { exportSession } = await admin().run(exportMutation, { input: { sessionId } })
  const response = await fetch(`${app.url}${exportSession.url}`)
  return (await response.json()) as Document
}

/** Without what the documentation says an import changes: ids, owner, and what is true of this session alone. */
function comparable({ format, session, messages }: Document) {
  const {
    id: _id,
    owner: _owner,
    isActive: _active,
    forkedFrom: _fork,
    updatedAt: _updated,
    ...kept
  } = session
  const places = new Map(messages.map(({ id }, index) => [id, index]))
  return {
    format,
    session: kept,
    messages: messages.map(({ id: _, replaces, ...message }) => ({
      ...message,
      ...(replaces === undefined ? {} : { replaces: places.get(replaces) }),
      ...(message.status === 'STREAMING'
        ? { status: 'INTERRUPTED', finishReason: message.finishReason ?? 'OTHER' }
        : {}),
    })),
  }
}

const text = (constraints: fc.StringConstraints) =>
  fc
    .string({ unit: 'binary', ...constraints })
    .filter((value) => !value.includes('\0') && value.isWellFormed())
const said = text({ minLength: 1, maxLength: 60 }).filter((value) => value.trim() !== '')
const time = fc
  .date({ min: new Date('1970-01-01'), max: new Date('2026-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString())
const json = fc
  .dictionary(
    text({ minLength: 1, maxLength: 8 }).filter((key) => key !== '__proto__'),
    // Numbers that PostgreSQL and JavaScript write alike.
    fc.oneof(
      text({ maxLength: 10 }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.integer(), { maxLength: 3 }),
    ),
    { maxKeys: 3 },
  )
  .map((value) => ({ ...value }))
const filled = json.filter((value) => Object.keys(value).length > 0)
const tokens = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const cost = fc
  .tuple(fc.nat(999_999_999), fc.integer({ min: 1, max: 9 }))
  .map(([whole, part]) => `${whole}.${part}`)

const session = fc.record({
  title: fc.option(said),
  agent: fc.constantFrom('primary', 'research', null),
  template: fc.constantFrom('Review', null),
  model: fc.constantFrom('demo:chat', null),
  systemPrompt: fc.option(text({ maxLength: 50 })),
  parameters: fc.constantFrom({}, { temperature: 0.5, stop: ['\n'] }),
  metadata: json,
  tags: fc.array(said, { maxLength: 3 }),
  createdAt: time,
})

const common = { metadata: filled, editedAt: time }
const question = fc.record(
  {
    role: fc.constantFrom('USER', 'SYSTEM'),
    content: said,
    author: fc.constantFrom('bob', 'root'),
    ...common,
  },
  { requiredKeys: ['role', 'content', 'author'] },
)
const reply = fc.record(
  {
    role: fc.constant('ASSISTANT'),
    content: text({ maxLength: 60 }),
    agent: fc.constantFrom('primary', 'router'),
    status: fc.constantFrom('STREAMING', 'COMPLETE', 'CANCELLED', 'FAILED', 'INTERRUPTED'),
    finishReason: fc.constantFrom(
      'STOP',
      'LENGTH',
      'TOOL_CALLS',
      'CONTENT_FILTER',
      'CANCELLED',
      'ERROR',
      'OTHER',
    ),
    model: fc.constantFrom('demo:chat', 'elsewhere:large'),
    inputTokens: tokens,
    outputTokens: tokens,
    cost,
    ...common,
  },
  { requiredKeys: ['role'] },
)
const exchange = fc
  .tuple(reply, fc.uuid(), filled, fc.option(text({ maxLength: 40 })))
  .map(([asking, id, values, result]) => [
    { ...asking, toolCalls: [{ id, name: 'look_up', arguments: values }] },
    ...(result === null ? [] : [{ role: 'TOOL', toolCallId: id, content: result }]),
  ])

const turns = fc.array(
  fc.oneof(
    question.map((message): Part[] => [message]),
    reply.map((message): Part[] => [message]),
    exchange,
  ),
  { maxLength: 8 },
)

/** Some messages take the place of earlier ones, at most one of each. */
const messages = fc
  .tuple(
    turns,
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 3 }),
    fc.array(time, { minLength: 40, maxLength: 40 }),
  )
  .map(([groups, versions, times]) => {
    const list: Part[] = groups.flat().map((message, index) => ({
      status: 'COMPLETE',
      ...message,
      id: `m${index}`,
      createdAt: times[index],
      updatedAt: times[index + 20],
    }))
    const replaced = new Set<unknown>()
    for (const [from, to] of versions) {
      const newer = list[from % Math.max(1, list.length)]
      const older = list[to % Math.max(1, list.length)]
      if (!newer || !older || list.indexOf(older) >= list.indexOf(newer)) continue
      if (newer.replaces !== undefined || replaced.has(older.id)) continue
      replaced.add(older.id)
      Object.assign(newer, { replaces: older.id })
      Object.assign(older, { replacedAt: times[0] })
    }
    return list
  })

describe('export and import', () => {
  it('give back what they were given', async () => {
    await fc.assert(
      fc.asyncProperty(session, messages, async (settings, list) => {
        const document: Document = {
          format: 'parley/1',
          session: { titleSource: settings.title === null ? null : 'MODEL', documents: [], ...settings },
          messages: list,
        }
        const first = await importDocument(document)
        expect(first.messageCount).toBe(list.filter(({ replacedAt }) => replacedAt === undefined).length)
        const exported = await exportSession(first.id)
        expect(comparable(exported)).toEqual(comparable(document))
        const again = await exportSession((await importDocument(exported)).id)
        expect(comparable(again)).toEqual(comparable(exported))
      }),
      { numRuns: 40 },
    )
  })

  it('give back what people and models have said here', async () => {
    const sessionId = await admin().createSession({ agent: 'primary', metadata: { project: 'tides' } })
    await admin().sendMessage({ sessionId, content: 'Tell me about tides', wait: true })
    await admin().sendMessage({ sessionId, content: 'And about the moon 🌕', wait: true })
    const exported = await exportSession(sessionId)
    expect(exported.messages).toHaveLength(4)
    expect(comparable(await exportSession((await importDocument(exported)).id))).toEqual(comparable(exported))
  })
})
