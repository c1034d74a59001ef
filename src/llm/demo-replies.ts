import { createHash } from 'node:crypto'
import { type DemoScript, directiveTable } from './demo-directives.ts'
import type { ModelMessage, ModelRequest } from './provider.ts'

/** A token of the demo model: a word with the space before it, cut where it is longer than 24 characters. */
export function tokenize(text: string): string[] {
  return text.match(/\s*\S{1,24}|\s+$/gu) ?? []
}

/** What the demo model says to a conversation: the same request always gets the same words. */
export function composeReply(request: ModelRequest, script: DemoScript): string {
  if (script.repeat !== undefined) return script.repeat
  const variant = variantOf(request)
  const words = Math.max(script.words ?? 0, script.failure?.afterWords ?? 0, script.stall?.afterWords ?? 0)
  return stretch(opening(request, script, variant), words, variant)
}

/** A summary that names what was asked: the first words of each question, after the summary so far. */
export function composeSummary(conversation: string): string {
  const earlier = /^<summary>\n(.*?)\n<\/summary>/su.exec(conversation)?.[1] ?? 'The person asked:'
  const questions = [...conversation.matchAll(/^<user>\n(.*?)\n<\/user>$/gmsu)].map(([, question = '']) =>
    question.split(/\s+/u).slice(0, 12).join(' '),
  )
  return [...earlier.split('\n'), ...questions.map((question) => `- ${question}`)].slice(-30).join('\n')
}

/** A title of the first words of a question, past its directives. */
export function composeTitle(question: string): string {
  const words = question.replace(/(^|\s)\/\S+/gu, ' ').match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}'’-]*/gu) ?? []
  if (words.length < 2) return 'Demo Conversation'
  return words
    .slice(0, 5)
    .map((word) => word.slice(0, 24).replace(/^./u, (letter) => letter.toUpperCase()))
    .join(' ')
}

function opening({ messages }: ModelRequest, script: DemoScript, variant: number): string {
  if (script.help) return `Put any of these into a message:\n\n${directiveTable()}`
  if (script.unicode) return unicodeSample
  if (script.toolCalls.length > 0) return ''
  const results = messages.slice(messages.findLastIndex(({ role }) => role === 'user') + 1)
  const turns = messages.filter(({ role }) => role === 'user').map(({ content }) => content)
  const paragraphs = results.some(({ role }) => role === 'tool')
    ? [reportResults(messages, results)]
    : turns.length > 1
      ? continueTalk(turns, variant)
      : greet(turns[0] ?? '', variant)
  paragraphs.push(tellContext(messages))
  if (script.misread.length > 0)
    paragraphs.push(
      `I could not read ${script.misread.map((name) => `\`${name}\``).join(' and ')}; see \`/help\`.`,
    )
  return paragraphs.join('\n\n')
}

const greetings = [
  'Hello! I am the **demo model**: I live in this server and need no key and no network.',
  'Hi, and welcome! You are talking to the **demo model**, which needs no key and no network.',
  'Good to meet you! I am the **demo model**, built in, so that everything can be tried at once.',
]

const suggestions = [
  '- Open this session in a second tab: both show every word at the same time.\n- Send `/slow` and stop me in the middle: what I said so far stays.\n- Send `/help` to see what else I can be asked to do.',
  '- Send `/long 400`, then reload the page: the reply goes on where it was.\n- Send a second message: I will show that I remember the first.\n- Send `/help` to see what else I can be asked to do.',
  '- Send `/fail after 20` to see what becomes of a reply that breaks.\n- Send two messages in a row: the second waits its turn.\n- Send `/help` to see what else I can be asked to do.',
]

function greet(message: string, variant: number): string[] {
  return [
    pick(greetings, variant),
    `You wrote: ${quote(message)}. I only know my lines, so a real answer takes a real model; what I can show is how a conversation works here:`,
    pick(suggestions, variant >>> 8),
  ]
}

const remarks = [
  'A real model would answer that now; I show that nothing was forgotten.',
  'That goes beyond my lines, but the conversation is all here.',
  'I cannot say much about it, but I did read it, and what came before.',
]

function continueTalk(turns: readonly string[], variant: number): string[] {
  const [first = '', previous = '', last = ''] = [turns[0], turns.at(-2), turns.at(-1)]
  const begun = `You began with ${quote(first)}`
  const before = turns.length > 2 ? `${begun}, and just before this you wrote ${quote(previous)}` : begun
  return [
    `This is turn **${turns.length}** of our conversation, and you wrote: ${quote(last)}.`,
    `${before}. ${pick(remarks, variant)}`,
  ]
}

function reportResults(messages: readonly ModelMessage[], results: readonly ModelMessage[]): string {
  const names = new Map(
    messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map(({ id, name }) => [id, name] as const) : [],
    ),
  )
  const lines = results.flatMap((message) =>
    message.role === 'tool'
      ? [`- \`${names.get(message.toolCallId) ?? message.toolCallId}\` answered ${quote(message.content)}`]
      : [],
  )
  return `Thank you, the results are in:\n\n${lines.join('\n')}`
}

/** Tells what came with the request, so that a reader sees what the context policy let through. */
function tellContext(messages: readonly ModelMessage[]): string {
  const earlier = messages.filter(({ role }) => role !== 'system').length - 1
  const history =
    earlier > 0 ? `${earlier} earlier ${earlier === 1 ? 'message' : 'messages'}` : 'no earlier message'
  const system = messages.find(({ role }) => role === 'system')
  if (!system) return `_I was given ${history} and no system prompt._`
  return `_I was given ${history} and a system prompt of ${tokenize(system.content).length} words._`
}

const unicodeSample = [
  'Beyond the basic plane: 😀 🚀 𝒳 𠮷 🇳🇴',
  'Joined into one: 👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈',
  'Combining marks: e\u0301 n\u0303 a\u0308\u0323 Z\u0351\u036b',
  'Right to left: שלום עולם, مرحبا بالعالم',
  'Without spaces: 今日は良い天気ですね',
].join('\n\n')

const filler = [
  'A long reply is made of many short pieces.',
  'Each piece is sent as soon as it is there.',
  'Whoever joins late first gets the text so far.',
  'Whoever loses the connection goes on where it broke.',
  'The stored message is the sum of all the pieces.',
  'Nothing is said twice, and nothing is left out.',
  'A reader may stop the reply at any word.',
]

/** Adds sentences until the text has so many words. */
function stretch(text: string, words: number, variant: number): string {
  const missing = words - (text.match(/\S+/g)?.length ?? 0)
  if (missing <= 0) return text
  const added: string[] = []
  for (let sentence = variant % filler.length; added.length < missing; sentence += 1)
    added.push(...pick(filler, sentence).split(' '))
  return [text, added.slice(0, missing).join(' ')].filter(Boolean).join('\n\n')
}

function quote(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  const characters = Array.from(line.slice(0, 400))
  return `“${characters.length > 80 ? `${characters.slice(0, 80).join('').trimEnd()}…` : line}”`
}

/** A number that differs from request to request. */
export function variantOf({ messages, parameters }: ModelRequest): number {
  return createHash('sha256')
    .update(JSON.stringify([messages, parameters.seed]))
    .digest()
    .readUInt32BE()
}

function pick(choices: readonly string[], variant: number): string {
  return choices[variant % choices.length] ?? ''
}
