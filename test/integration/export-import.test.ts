import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createDocument } from './documents.harness.ts'
import { createFiles, type File, type Part } from './export-import.harness.ts'

let app: TestApp
/** Of bob, whose documents the admins see, and their titles. */
const documents: { id: string; title: string }[] = []
beforeAll(async () => {
  app = await startTestApp()
  const bob = app.api({ user: 'bob' })
  await bob.createSession()
  await bob.change('createTemplate', { name: 'Review' })
  for (const title of ['Ebb', 'Flood'])
    documents.push({ id: await createDocument(bob, { title, text: title }), title })
})

const { admin, importFile, exportSession } = createFiles(() => app)

/** Without what the documentation says an import changes: ids, owner, and what is true of this session alone. */
function comparable({ format, session, messages }: File) {
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
  key: fc.option(fc.uuid()),
  documents: fc.boolean(),
  createdAt: time,
})

const offset = fc.nat()
const citation = fc.record(
  {
    document: fc.nat(1),
    score: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    page: fc.integer({ min: 1, max: 999 }),
    heading: said,
    startOffset: offset,
    endOffset: offset,
    text: said,
  },
  { requiredKeys: ['document', 'score', 'startOffset', 'endOffset', 'text'] },
)
const citations = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 99 }), citation), {
    minLength: 1,
    maxLength: 3,
    selector: ([marker]) => marker,
  })
  .map((cited) => cited.sort(([one], [other]) => one - other).map(([marker, rest]) => ({ marker, ...rest })))

const common = { metadata: filled, editedAt: time, clientId: fc.uuid() }
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
    citations,
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

/** The documents have no ids before the server runs. */
const withDocumentIds = ({ citations, ...message }: Part): Part =>
  citations === undefined
    ? message
    : {
        ...message,
        citations: (citations as { document: number }[]).map((cited) => ({
          ...cited,
          document: documents[cited.document]?.id,
        })),
      }

describe('export and import', () => {
  it('give back what they were given', async () => {
    await fc.assert(
      fc.asyncProperty(session, messages, async ({ documents: hasDocuments, ...settings }, list) => {
        const document: File = {
          format: 'parley/1',
          session: {
            titleSource: settings.title === null ? null : 'MODEL',
            documents: hasDocuments ? documents : [],
            ...settings,
          },
          messages: list.map(withDocumentIds),
        }
        const first = await importFile(document)
        expect(first.messageCount).toBe(list.filter(({ replacedAt }) => replacedAt === undefined).length)
        const exported = await exportSession(first.id)
        expect(comparable(exported)).toEqual(comparable(document))
        // By somebody else, who has no session of that key.
        const again = await exportSession((await importFile(exported, admin('other'))).id)
        expect(comparable(again)).toEqual(comparable(exported))
      }),
      { numRuns: 40 },
    )
  })

  it('give back what people and models have said here', async () => {
    const sessionId = await admin().createSession({ agent: 'primary', metadata: { project: 'tides' } })
    await admin().change('sendMessage', { sessionId, content: 'Tell me about tides', wait: true })
    await admin().change('sendMessage', { sessionId, content: 'And about the moon 🌕', wait: true })
    const exported = await exportSession(sessionId)
    expect(exported.messages).toHaveLength(4)
    expect(comparable(await exportSession((await importFile(exported)).id))).toEqual(comparable(exported))
  })
})
