import { type GraphQLInterfaceType, getOperationAST, isObjectType, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { SessionEventsDocument } from '../../client/src/generated/graphql.ts'
import { isSameForAll, readsParentOnly } from '../../src/graphql/shared.ts'
import { schema } from '../../src/schema.ts'

const sessionEvent = schema.getType('SessionEvent') as GraphQLInterfaceType
/** A field of an event that is not the same for all would keep readers apart, whatever else they select. */
const eventTypes = schema.getPossibleTypes(sessionEvent).map(({ name }) => name)
const partTypes = [
  'ToolCall',
  'RunError',
  'RunUsage',
  'SessionUsage',
  'Memory',
  'PendingToolCall',
  'ContextPolicy',
]

const fieldsOf = (name: string) => {
  const type = schema.getType(name)
  if (!isObjectType(type)) throw new Error(`${name} is no object type.`)
  const fields = Object.values(type.getFields())
  return {
    same: fields.filter((field) => readsParentOnly(type, field)).map((field) => field.name),
    all: fields,
  }
}

describe('what readers of a session may share', () => {
  it.each([...eventTypes, ...partTypes])('all of %s', (name) => {
    const { same, all } = fieldsOf(name)
    expect(all.map((field) => field.name).filter((field) => !same.includes(field))).toEqual([])
  })

  // Whatever is added to these is apart until it is listed here.
  it.each([
    [
      'Message',
      `id seq role content toolCalls toolCallId status finishReason model inputTokens outputTokens
       cachedInputTokens cost metadata clientId editedAt replacedAt createdAt updatedAt`,
    ],
    ['User', 'id externalId name email role createdAt updatedAt'],
    [
      'Run',
      `id status model parameters error usage pendingToolCalls queuedAt startedAt firstTokenAt finishedAt timeToFirstTokenMs
       createdAt updatedAt`,
    ],
    [
      'Session',
      `id title titleSource model systemPrompt parameters metadata tags isActive lastMessageAt messageCount usage key
       deletedAt createdAt updatedAt contextPolicy`,
    ],
  ])('of %s: its plain fields', (name, names) => {
    expect(fieldsOf(name).same.sort()).toEqual(names.split(/\s+/).sort())
  })

  const judge = (selection: string, fragments = '') => {
    const document = parse(
      `subscription ($id: ID!) { sessionEvents(sessionId: $id) { ${selection} } } ${fragments}`,
    )
    const operation = getOperationAST(document)
    return operation && isSameForAll(schema, document, operation)
  }

  it.each([
    ['__typename cursor at', '', true],
    ['... on TextDelta { messageId offset text } ... { cursor }', '', true],
    ['... on SessionUpdated { session { title usage { cost } } }', '', true],
    ['... on SessionUpdated { session { title viewerRole } }', '', false],
    ['... on SessionUpdated { session { user { id } } }', '', false],
    ['...A', 'fragment A on SessionEvent { ...B } fragment B on MessageAdded { message { content } }', true],
    [
      '...A',
      'fragment A on SessionEvent { ...B } fragment B on MessageAdded { message { author { id } } }',
      false,
    ],
    ['... on SessionSnapshot { messages { session { messages { totalCount } } } }', '', false],
  ])('%s %s: %s', (selection, fragments, expected) => {
    expect(judge(selection, fragments)).toBe(expected)
  })
  it('all that the client library asks of a session', () => {
    const operation = getOperationAST(SessionEventsDocument)
    expect(operation && isSameForAll(schema, SessionEventsDocument, operation)).toBe(true)
  })
})
