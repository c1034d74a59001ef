import { encodeId, newId } from '../../src/lib/ids.ts'

/** `path` is what the answer must name; `says` what it must tell beside that. */
export type BadCase = { field: string; input: Record<string, unknown>; path: string; says: string | RegExp }

const nul = 'a\0b'
const halves = ['a\ud800', '\udc00b']
const notStorable = 'cannot be stored'
const deep = (levels: number): object => (levels === 1 ? { end: 1 } : { in: deep(levels - 1) })

/** Ways in which a text is not one that can be stored. */
const unstorable = [nul, ...halves]

const textFaults = (max: number, { mayBeEmpty = false } = {}): [unknown, string | RegExp][] => [
  ...(mayBeEmpty
    ? []
    : ([
        ['', 'is empty'],
        [' \n ', 'is empty'],
      ] as [string, string][])),
  ['x'.repeat(max + 1), `has ${max + 1} characters; at most ${max} are allowed`],
  ...unstorable.map((text) => [text, notStorable] as [string, string]),
]

const jsonFaults = (maxBytes: number): [unknown, string | RegExp][] => [
  [{ text: 'ä'.repeat(maxBytes / 2) }, `has ${maxBytes + 11} bytes as JSON; at most ${maxBytes} are allowed`],
  [deep(21), 'nested too deeply; at most 20 levels'],
  ...unstorable.flatMap((text) => [
    [{ text }, notStorable] as [object, string],
    [{ [text]: 1 }, notStorable] as [object, string],
    [{ list: [{ text }] }, notStorable] as [object, string],
  ]),
]

/** By the dotted path of the faulty value. */
const parameterFaults: [string, unknown, string | RegExp][] = [
  ['', { tone: 'warm' }, /unknown parameters \(tone\); allowed are temperature, topP, topK/],
  ['', JSON.parse('{"__proto__": {"temperature": 1}}'), 'unknown parameters (__proto__)'],
  ['', { constructor: 1 }, 'unknown parameters (constructor)'],
  ['.temperature', { temperature: 'hot' }, 'is not a number'],
  ['.temperature', { temperature: 2.1 }, 'is above 2'],
  ['.temperature', { temperature: -0.1 }, 'is below 0'],
  ['.topP', { topP: 1.5 }, 'is above 1'],
  ['.topK', { topK: 0 }, 'is below 1'],
  ['.topK', { topK: 1.5 }, 'is not a whole number'],
  ['.maxOutputTokens', { maxOutputTokens: 0 }, 'is below 1'],
  ['.stop', { stop: Array(9).fill('x') }, 'has more than 8 entries'],
  ['.stop.0', { stop: [''] }, 'is empty'],
  ['.stop.1', { stop: ['x', nul] }, notStorable],
  ['.seed', { seed: 1.5 }, 'is not a whole number'],
  ['.seed', { seed: 1e300 }, ''],
]

const settingFaults: [string, unknown, string | RegExp][] = [
  ...textFaults(255).map(([value, says]) => ['title', value, says] as const),
  ...textFaults(100).map(([value, says]) => ['agent', value, says] as const),
  ['agent', 'agent_nonsense', 'is not an id'],
  ['agent', 'agent_', 'is not an id'],
  ...textFaults(10_000, { mayBeEmpty: true }).map(([value, says]) => ['systemPrompt', value, says] as const),
  ['model', 'gpt', 'is not a model id; allowed is provider:name'],
  ['model', '', 'is not a model id'],
  ['model', `demo:${nul}`, notStorable],
  ['model', `demo:${'x'.repeat(200)}`, 'at most 200 are allowed'],
  ...jsonFaults(16_384).map(([value, says]) => ['metadata', value, says] as const),
  ['tags', Array(21).fill('x'), 'has more than 20 entries'],
  ...textFaults(64).map(([value, says]) => ['tags.1', ['x', value], says] as const),
  ...parameterFaults.map(([path, value, says]) => [`parameters${path}`, value, says] as const),
].map(([path, value, says]) => [path, value, says] as [string, unknown, string | RegExp])

const clientIdFaults = textFaults(255)

/** Sets the value at the head of a path: what `tags.1` or `parameters.stop` blames is the whole of `tags`. */
const given = (path: string, value: unknown) => ({ [path.split('.', 1)[0] ?? '']: value })

const messageFaults: [string, Record<string, unknown>, string | RegExp][] = [
  ...textFaults(10_000).map(([content, says]) => ['content', { role: 'USER', content }, says] as const),
  ['content', { role: 'USER' }, 'is empty'],
  ['content', { role: 'ASSISTANT', toolCalls: [] }, 'is empty'],
  ['content', { role: 'SYSTEM', content: null }, 'is empty'],
  ['toolCallId', { role: 'TOOL', content: 'x' }, 'is missing'],
  [
    'toolCallId',
    { role: 'TOOL', content: 'x', toolCallId: 'unheard' },
    'is no tool call of an earlier message',
  ],
  ['toolCallId', { role: 'USER', content: 'x', toolCallId: 'c' }, 'goes with the role TOOL only'],
  ...textFaults(255).map(
    ([toolCallId, says]) => ['toolCallId', { role: 'TOOL', content: 'x', toolCallId }, says] as const,
  ),
  [
    'toolCalls',
    { role: 'USER', content: 'x', toolCalls: [{ id: 'c', name: 'f', arguments: {} }] },
    'role ASSISTANT only',
  ],
  [
    'toolCalls',
    { role: 'ASSISTANT', toolCalls: Array(33).fill({ id: 'c', name: 'f', arguments: {} }) },
    'more than 32',
  ],
  ...textFaults(255).map(
    ([id, says]) =>
      ['toolCalls.0.id', { role: 'ASSISTANT', toolCalls: [{ id, name: 'f', arguments: {} }] }, says] as const,
  ),
  ...textFaults(64).map(
    ([name, says]) =>
      [
        'toolCalls.0.name',
        { role: 'ASSISTANT', toolCalls: [{ id: 'c', name, arguments: {} }] },
        says,
      ] as const,
  ),
  ...jsonFaults(65_536).map(
    ([value, says]) =>
      [
        'toolCalls.0.arguments',
        { role: 'ASSISTANT', toolCalls: [{ id: 'c', name: 'f', arguments: value }] },
        says,
      ] as const,
  ),
  ...jsonFaults(16_384).map(
    ([metadata, says]) => ['metadata', { role: 'USER', content: 'x', metadata }, says] as const,
  ),
  ...clientIdFaults.map(
    ([clientId, says]) => ['clientId', { role: 'USER', content: 'x', clientId }, says] as const,
  ),
].map(([path, value, says]) => [path as string, value as Record<string, unknown>, says as string | RegExp])

const fine = { role: 'USER', content: 'Fine' }

/** Inputs of mutations that are of the right type and yet wrong. */
export function badInputs(sessionId: string): BadCase[] {
  return [
    ...settingFaults.map(([path, value, says]) => ({
      field: 'createSession',
      input: given(path, value),
      path,
      says,
    })),
    ...clientIdFaults.map(([clientId, says]) => ({
      field: 'createSession',
      input: { clientId },
      path: 'clientId',
      says,
    })),
    ...settingFaults.map(([path, value, says]) => ({
      field: 'updateSession',
      input: { sessionId, ...given(path, value) },
      path,
      says,
    })),
    ...textFaults(10_000).map(([content, says]) => ({
      field: 'sendMessage',
      input: { sessionId, content },
      path: 'content',
      says,
    })),
    ...clientIdFaults.map(([clientId, says]) => ({
      field: 'sendMessage',
      input: { sessionId, content: 'x', clientId },
      path: 'clientId',
      says,
    })),
    ...parameterFaults.map(([path, parameters, says]) => ({
      field: 'sendMessage',
      input: { sessionId, content: 'x', parameters },
      path: `parameters${path}`,
      says,
    })),
    {
      field: 'sendMessage',
      input: { sessionId, content: 'x', model: 'gpt' },
      path: 'model',
      says: 'is not a model id',
    },
    {
      field: 'addMessages',
      input: { sessionId, messages: [] },
      path: 'messages',
      says: '1 to 100 messages are allowed',
    },
    {
      field: 'addMessages',
      input: { sessionId, messages: Array(101).fill(fine) },
      path: 'messages',
      says: '1 to 100 messages are allowed',
    },
    {
      field: 'addMessages',
      input: { sessionId, messages: [{ ...fine, clientId: 'twice' }, fine, { ...fine, clientId: 'twice' }] },
      path: 'messages.2.clientId',
      says: 'same key',
    },
    // A good message stands before each bad one: none of both may be stored.
    ...messageFaults.map(([path, message, says]) => ({
      field: 'addMessages',
      input: { sessionId, messages: [fine, message] },
      path: `messages.1.${path}`,
      says,
    })),
  ]
}

/** Texts that are no id at all. */
export const malformedIds = [
  '',
  'x',
  'session_',
  '_',
  'session',
  newId(),
  encodeId('Session', newId()).toUpperCase(),
  `${encodeId('Session', newId())}0`,
  encodeId('Session', newId()).slice(0, -1),
  `session_8${'z'.repeat(25)}`,
  `session_${'u'.repeat(26)}`,
  `${encodeId('Session', newId())}\0`,
  `${encodeId('Session', newId())}\n`,
  `__proto___${'0'.repeat(26)}`,
  `constructor_${'0'.repeat(26)}`,
  `session_${'\ud800'.repeat(26)}`,
  `'; DROP TABLE sessions; --`,
  'x'.repeat(10_000),
]
