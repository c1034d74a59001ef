import { encodeId } from '../../lib/ids.ts'
import { documentFormat } from './document.ts'
import type { HistoryCitation, HistoryMessage, HistorySession } from './history.ts'

/** The session as a document of the format `parley/1`, piece by piece; each message stands on a line of its own. */
export async function* toJson(
  session: HistorySession,
  pages: AsyncIterable<readonly HistoryMessage[]>,
): AsyncGenerator<string> {
  const head = {
    format: documentFormat,
    exportedAt: new Date(),
    session: sessionPart(session),
    messages: [],
  }
  const text = JSON.stringify(head, null, 2)
  yield text.slice(0, text.lastIndexOf(']'))
  let separator = '\n    '
  for await (const page of pages) {
    yield page.map((message) => `${takeSeparator()}${JSON.stringify(messagePart(message))}`).join('')
  }
  yield '\n  ]\n}\n'

  function takeSeparator() {
    const taken = separator
    separator = ',\n    '
    return taken
  }
}

function sessionPart(session: HistorySession) {
  return {
    id: encodeId('Session', session.id),
    title: session.title,
    titleSource: session.titleSource,
    owner: session.user.externalId,
    agent: session.agent?.key ?? null,
    template: session.template?.name ?? null,
    model: session.model,
    systemPrompt: session.systemPrompt,
    parameters: session.parameters,
    ...(session.contextPolicy !== null && { contextPolicy: session.contextPolicy }),
    metadata: session.metadata,
    tags: session.tags,
    key: session.key,
    isActive: session.isActive,
    documents: session.documents.map(({ document: { id, title } }) => ({
      id: encodeId('Document', id),
      title,
    })),
    forkedFrom: session.parentId && {
      session: encodeId('Session', session.parentId),
      seq: session.forkedAtSeq,
    },
    createdAt: session.createdAt,
    updatedAt: session.updatedAt,
  }
}

/** Most fields of most messages are empty; those are left out. */
function messagePart(message: HistoryMessage) {
  const fields = {
    id: encodeId('Message', message.id),
    role: message.role,
    content: message.content,
    toolCalls: message.toolCalls,
    toolCallId: message.toolCallId,
    author: message.authorKey,
    agent: message.agentKey,
    status: message.status,
    finishReason: message.finishReason,
    model: message.model,
    inputTokens: message.inputTokens,
    outputTokens: message.outputTokens,
    cachedInputTokens: message.cachedInputTokens,
    cost: message.cost && amountOf(String(message.cost)),
    metadata: message.metadata,
    clientId: message.clientId,
    citations: message.citations.map(citationPart),
    editedAt: message.editedAt,
    replaces: message.replacesId && encodeId('Message', message.replacesId),
    replacedAt: message.replacedAt,
    createdAt: message.createdAt,
    updatedAt: message.updatedAt,
  }
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)))
  // Left out, it would be the importer's.
  return message.role === 'USER' ? { ...given, author: message.authorKey } : given
}

function citationPart(citation: HistoryCitation) {
  const { marker, documentId, isVisible, score, page, heading, startOffset, endOffset, content } = citation
  return {
    marker,
    ...(isVisible && { document: encodeId('Document', documentId) }),
    score,
    ...(page !== null && { page }),
    ...(heading !== null && { heading }),
    ...{ startOffset, endOffset, text: content },
  }
}

/** The database fills up to nine decimals with zeros. */
const amountOf = (decimal: string) =>
  decimal.replace(/\.?0+$/, (zeros) => (decimal.includes('.') ? '' : zeros))

const isEmpty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && !(value instanceof Date) && Object.keys(value).length === 0)
