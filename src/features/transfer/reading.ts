import { invalid, ValidationError } from '../../lib/errors.ts'
import { titleFrom } from '../messages/append.ts'
import { isChatGpt, readChatGpt } from './chatgpt.ts'
import {
  type createDocumentCheck,
  documentFormat,
  maxImportedMessages,
  type SessionDocument,
  type UncheckedDocument,
} from './document.ts'
import { type Found, parse } from './found.ts'
import { isLibreChat, readLibreChat } from './librechat.ts'

export type ImportFormat = 'AUTO' | 'PARLEY' | 'CHATGPT' | 'LIBRECHAT'

const maxConversations = 1_000

/**
 * Reads a file with one conversation, or a list of them, as documents that are fit to be stored; throws a
 * `ValidationError` that names the places of its faults.
 */
export function readConversations(
  content: string,
  format: ImportFormat,
  check: ReturnType<typeof createDocumentCheck>,
  titleMaxLength: number,
): SessionDocument[] {
  const file = parseJson(content)
  const list = Array.isArray(file) ? file : [file]
  if (list.length === 0) throw invalid('content', 'is an empty list; at least one conversation is needed')
  if (list.length > maxConversations)
    throw invalid('content', `lists ${list.length} conversations; at most ${maxConversations} are allowed`)
  const documents = list.map((value, index) =>
    readConversation(
      value,
      format,
      { check, titleMaxLength },
      Array.isArray(file) ? `content.${index}` : 'content',
    ),
  )
  const count = documents.reduce((sum, { messages }) => sum + messages.length, 0)
  if (count > maxImportedMessages)
    throw invalid(
      'content',
      `has ${count} messages; at most ${maxImportedMessages} are allowed in one import`,
    )
  return documents
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content.replace(/^\ufeff/, ''))
  } catch (error) {
    throw invalid('content', `is not JSON: ${(error as Error).message}`)
  }
}

function readConversation(
  value: unknown,
  format: ImportFormat,
  { check, titleMaxLength }: { check: ReturnType<typeof createDocumentCheck>; titleMaxLength: number },
  path: string,
): SessionDocument {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(path, 'is not an object; a conversation is one')
  const kind = format === 'AUTO' ? detect(value, path) : format
  if (kind === 'PARLEY') {
    if (!('format' in value) || value.format !== documentFormat)
      throw invalid(`${path}.format`, `is not "${documentFormat}", the format that can be read`)
    return parse(check, value, path)
  }
  const found = kind === 'CHATGPT' ? readChatGpt(value, path) : readLibreChat(value, path)
  return parse(check, documentOf(found, titleMaxLength), ([part, ...steps]) => {
    const place = part === 'messages' ? found.pathOf(Number(steps.shift())) : path
    return [place, ...steps].join('.')
  })
}

function detect(value: object, path: string): Exclude<ImportFormat, 'AUTO'> {
  if ('format' in value) return 'PARLEY'
  if (isChatGpt(value)) return 'CHATGPT'
  if (isLibreChat(value)) return 'LIBRECHAT'
  throw new ValidationError([
    {
      path,
      message: `is in no format that is known; allowed are ${documentFormat}, a conversation of ChatGPT's conversations.json, and LibreChat's JSON export`,
    },
  ])
}

/** What people talked about elsewhere was theirs: the messages of users count as the importer's own. */
function documentOf(
  { title, createdAt, systemPrompt, messages }: Found,
  titleMaxLength: number,
): UncheckedDocument {
  const asked = messages.find(({ role }) => role === 'USER')?.content
  return {
    session: {
      title: title ?? (asked ? titleFrom(asked, titleMaxLength) : null),
      titleSource: title ? 'MODEL' : 'FIRST_MESSAGE',
      systemPrompt,
      createdAt,
    },
    messages,
  }
}
