import { beforeAll, describe, expect, it } from 'vitest'
import { query } from '../support/postgres.ts'
import { documentOf, hello, type Imports, startImports } from './import.harness.ts'

let imports: Imports
beforeAll(async () => {
  imports = await startImports()
})

describe('an import', () => {
  const gpt = (mapping: string, current = 'a') => `{"current_node":"${current}","mapping":${mapping}}`
  const gptNode = (message: string) => gpt(`{"a":{"parent":null,"message":${message}}}`)
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  const libre = (messages: string) => `{"conversationId":"x","messages":${messages}}`
  const cited = {
    ...{ marker: 1, document: 'document_01h455vb4pex5vsknk084sn02q', score: 0.5 },
    ...{ startOffset: 0, endOffset: 3, text: 'Ebb' },
  }
  const call = { role: 'ASSISTANT', toolCalls: [{ id: 'c', name: 'look', arguments: {} }] }

  it.each([
    ['broken JSON', '{"format":', 'content', /is not JSON/],
    ['a truncated file', documentOf([hello]).slice(0, -5), 'content', /is not JSON/],
    ['an empty file', '', 'content', /is not JSON/],
    ['a number', '1', 'content', /is not an object/],
    ['an empty list', '[]', 'content', /is an empty list/],
    ['a list of lists', '[[]]', 'content.0', /is not an object/],
    ['an unknown format', '{"a":1}', 'content', /in no format that is known/],
    ['a later version', '{"format":"parley/2"}', 'content.format', /is not "parley\/1"/],
    ['too many conversations', JSON.stringify(Array(1_001).fill({})), 'content', /at most 1000/],
    ['no session', '{"format":"parley/1","messages":[]}', 'content.session', /expected object/],
    ['messages of the wrong type', documentOf([7]), 'content.messages.0', /expected object/],
    ['an unknown role', documentOf([{ role: 'ROBOT' }]), 'content.messages.0.role', /"USER"/],
    ['NUL', documentOf([{ role: 'USER', content: 'a\0b' }]), 'content.messages.0.content', /NUL/],
    [
      'half a surrogate pair',
      documentOf([{ role: 'USER', content: '\ud800' }]),
      'content.messages.0.content',
      /NUL/,
    ],
    ['no text', documentOf([{ role: 'USER', content: ' ' }]), 'content.messages.0.content', /is empty/],
    [
      'text without end',
      documentOf([{ ...hello, content: 'x'.repeat(262_145) }]),
      'content.messages.0.content',
      /at most 262144/,
    ],
    [
      'the same id twice',
      documentOf([
        { ...hello, id: 'a' },
        { ...hello, id: 'a' },
      ]),
      'content.messages.1.id',
      /earlier message/,
    ],
    [
      'a version of nothing',
      documentOf([{ ...hello, replaces: 'a' }]),
      'content.messages.0.replaces',
      /not the id/,
    ],
    [
      'two versions of one',
      documentOf([
        { ...hello, id: 'a' },
        { ...hello, replaces: 'a' },
        { ...hello, replaces: 'a' },
      ]),
      'content.messages.2.replaces',
      /already/,
    ],
    [
      'a result without its call',
      documentOf([{ role: 'TOOL', toolCallId: 'c' }, call]),
      'content.messages.0.toolCallId',
      /no tool call/,
    ],
    [
      'two calls by one id in a message',
      documentOf([{ ...call, toolCalls: [...call.toolCalls, ...call.toolCalls] }]),
      'content.messages.0.toolCalls.1.id',
      /earlier call/,
    ],
    ['a result of nothing', documentOf([{ role: 'TOOL' }]), 'content.messages.0.toolCallId', /is missing/],
    [
      'calls of a user',
      documentOf([{ ...call, ...hello }]),
      'content.messages.0.toolCalls',
      /ASSISTANT only/,
    ],
    [
      'citations of a user',
      documentOf([{ ...hello, citations: [cited] }]),
      'content.messages.0.citations',
      /ASSISTANT only/,
    ],
    [
      'two citations by one number',
      documentOf([{ role: 'ASSISTANT', citations: [cited, cited] }]),
      'content.messages.0.citations.1.marker',
      /earlier citation/,
    ],
    [
      'a citation of what is no document',
      documentOf([
        { role: 'ASSISTANT', citations: [{ ...cited, document: 'session_01h455vb4pex5vsknk084sn02q' }] },
      ]),
      'content.messages.0.citations.0.document',
      /id of a session/,
    ],
    [
      'a citation without an end',
      documentOf([{ role: 'ASSISTANT', citations: [{ ...cited, text: 'x'.repeat(1_001) }] }]),
      'content.messages.0.citations.0.text',
      /at most 1000/,
    ],
    [
      'citations without end',
      documentOf([{ role: 'ASSISTANT', citations: Array(101).fill(cited) }]),
      'content.messages.0.citations',
      /more than 100/,
    ],
    [
      'what is no document',
      documentOf([], { documents: [{ id: 'x'.repeat(1_000) }] }),
      'content.session.documents.0.id',
      /is not an id/,
    ],
    [
      'documents without end',
      documentOf([], { documents: Array(101).fill({ id: cited.document }) }),
      'content.session.documents',
      /more than 100/,
    ],
    ['an empty key', documentOf([], { key: ' ' }), 'content.session.key', /is empty/],
    [
      'one client key twice',
      documentOf([
        { ...hello, clientId: 'a' },
        { ...hello, clientId: 'a' },
      ]),
      'content.messages.1.clientId',
      /earlier message/,
    ],
    [
      'what is no time',
      documentOf([{ ...hello, createdAt: 'yesterday' }]),
      'content.messages.0.createdAt',
      /is not a time/,
    ],
    [
      'negative tokens',
      documentOf([{ ...hello, inputTokens: -1 }]),
      'content.messages.0.inputTokens',
      /below 0/,
    ],
    [
      'tokens beyond counting',
      documentOf([{ ...hello, inputTokens: 2 ** 31 }]),
      'content.messages.0.inputTokens',
      /number/,
    ],
    [
      'a cost that is none',
      documentOf([{ ...hello, cost: '1e9' }]),
      'content.messages.0.cost',
      /decimal text/,
    ],
    [
      'metadata of 100 levels',
      `{"format":"parley/1","session":{"metadata":${nested(100)}},"messages":[]}`,
      'content.session.metadata',
      /too deeply/,
    ],
    [
      'metadata of 100,000 levels',
      `{"format":"parley/1","session":{"metadata":${nested(100_000)}},"messages":[]}`,
      'content.session.metadata',
      /too deeply/,
    ],
    [
      'unknown parameters',
      documentOf([], { parameters: { top: 1 } }),
      'content.session.parameters',
      /unknown parameters/,
    ],
    [
      'a circle in the mapping',
      gpt('{"a":{"parent":"b"},"b":{"parent":"a"}}'),
      'content.mapping.a',
      /circle/,
    ],
    ['its own parent', gpt('{"a":{"parent":"a"}}'), 'content.mapping.a', /circle/],
    ['a parent that is missing', gpt('{"a":{"parent":"b"}}'), 'content.mapping.a', /"b" as its parent/],
    [
      'a parent of the prototype',
      gpt('{"a":{"parent":"__proto__"}}'),
      'content.mapping.a',
      /"__proto__" as its parent/,
    ],
    ['no current node', '{"mapping":{}}', 'content.current_node', /is missing/],
    ['a current node that is missing', gpt('{}', 'constructor'), 'content.current_node', /does not have/],
    ['a mapping that is a list', '{"current_node":"a","mapping":[]}', 'content.mapping', /not an object/],
    ['a node that is none', gpt('{"a":1}'), 'content.mapping.a', /expected object/],
    [
      'an unknown author',
      gptNode('{"author":{"role":"robot"},"content":{}}'),
      'content.mapping.a.message.author.role',
      /"user"/,
    ],
    [
      'arguments of 100 levels',
      gptNode(
        `{"author":{"role":"assistant"},"recipient":"t","content":{"text":${JSON.stringify(nested(100))}}}`,
      ),
      'content.mapping.a.message.toolCalls.0.arguments',
      /too deeply/,
    ],
    ['no messages', '{"conversationId":"x"}', 'content.messages', /is missing/],
    ['messages without ids', libre('[{}]'), 'content.messages.0.messageId', /expected string/],
    [
      'the same message twice',
      libre('[{"messageId":"a"},{"messageId":"a"}]'),
      'content.messages.1.messageId',
      /earlier/,
    ],
    [
      'an orphan',
      libre('[{"messageId":"a","parentMessageId":"b"}]'),
      'content.messages.0',
      /"b" as its parent/,
    ],
    [
      'a circle',
      libre('[{"messageId":"a","parentMessageId":"b"},{"messageId":"b","parentMessageId":"a"}]'),
      'content.messages.1',
      /circle/,
    ],
    [
      'a nested fault',
      libre('[{"messageId":"a","children":[{"messageId":"b","isCreatedByUser":1}]}]'),
      'content.messages',
      /./,
    ],
  ])('refuses %s and says where', async (_name, content, path, message) => {
    const before = await imports.countSessions()
    const refused = await imports.importInto({ content })
    expect(refused.code).toBe('BAD_USER_INPUT')
    expect(refused.fields[0].path.startsWith(path)).toBe(true)
    expect(refused.fields[0].message).toMatch(message)
    expect(await imports.countSessions()).toBe(before)
  })

  it('names the first of thousands of faults', async () => {
    const refused = await imports.importInto({ content: documentOf(Array(30_000).fill(0)) })
    expect(refused.fields).toHaveLength(21)
    expect(refused.fields[20].message).toBe('and 29980 more faults')
  })

  const two = (second: string) =>
    `[${documentOf([hello])}, ${documentOf([{ role: 'USER', content: second }])}]`

  it('stores none of several conversations where the database refuses one', async () => {
    const { app, importInto, countSessions, send } = imports
    await query(app.databaseUrl, `ALTER TABLE messages ADD CHECK (content <> 'refused by the database')`)
    const before = await countSessions()
    const { errors } = await send(two('refused by the database'))
    expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR')
    expect(await countSessions()).toBe(before)
    expect((await importInto({ content: two('kept') })).sessions).toHaveLength(2)
  })

  it('stores none of several conversations where the key of a later one is in use', async () => {
    const { app, importInto, countSessions } = imports
    await app.api().createSession({ clientId: 'history/1' })
    const before = await countSessions()
    expect(await importInto({ content: two('second'), clientId: 'history' })).toMatchObject({
      code: 'CONFLICT',
      message: 'clientId: "history/1" was used before to create another session.',
    })
    expect(await countSessions()).toBe(before)
  })

  it('repeated, brings back what was purged of it and nothing else', async () => {
    const { app, importInto } = imports
    const input = { content: two('second'), clientId: 'purged' }
    const [first, second] = (await importInto(input)).sessions
    await app
      .api()
      .run(`mutation ($input: PurgeSessionInput!) { purgeSession(input: $input) { __typename } }`, {
        input: { sessionId: second.id },
      })
    const again = (await importInto(input)).sessions
    expect(again[0]).toEqual(first)
    expect(again[1].id).not.toBe(second.id)
    expect(again).toHaveLength(2)
  })
})
