import { z } from 'zod'
import type { Config } from '../../config.ts'
import { check, isStorable, jsonObject, text } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { type MimeType, mimeTypes } from './extraction.ts'

/** What may be asked of documents, with the limits of this installation. */
export function createDocumentChecks(config: Config) {
  const { maxBytes } = config.documents
  const title = text({ min: 1, max: config.sessions.titleMaxLength })
  const metadata = jsonObject({ maxBytes: config.sessions.metadataMaxBytes })
  const mimeType = z.enum(mimeTypes, `is not read here; allowed is one of ${mimeTypes.join(', ')}`)
  const content = {
    text: z.string().nullish(),
    base64: z
      .string()
      .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is not base64 (RFC 4648, without line breaks)')
      .nullish(),
  }
  const create = z.object({ title, mimeType: mimeType.nullish(), metadata: metadata.nullish(), ...content })
  const update = z.object({
    documentId: z.uuid(),
    title: title.nullish(),
    mimeType: mimeType.nullish(),
    metadata: metadata.nullish(),
    ...content,
  })
  const query = z.object({
    query: text({ min: 1, max: 2_000 }),
    documentIds: z.array(z.uuid()).max(100, 'has more than 100 entries').nullish(),
    sessionIds: z.array(z.uuid()).max(100, 'has more than 100 entries').nullish(),
    limit: z
      .int()
      .min(1, 'is out of range; allowed is 1 to 50')
      .max(50, 'is out of range; allowed is 1 to 50')
      .nullish(),
  })

  /** The bytes of a content that is given in one of two ways; null where it is given in none. */
  function contentOf(
    given: { text?: string | null | undefined; base64?: string | null | undefined },
    mimeType: MimeType,
  ) {
    if (given.text != null && given.base64 != null) throw invalid('base64', 'cannot be combined with text')
    const field = given.text != null ? 'text' : 'base64'
    const value = given[field]
    if (value == null) return null
    if (field === 'text' && mimeType === 'application/pdf')
      throw invalid('text', 'does not go with application/pdf; give the file as base64')
    const bytes = Buffer.from(value, field === 'text' ? 'utf8' : 'base64')
    if (bytes.length > maxBytes)
      throw invalid(field, `has ${bytes.length} bytes; at most ${maxBytes} are allowed (DOCUMENT_MAX_BYTES)`)
    const fault = faultOf(field === 'text' ? value : bytes, mimeType)
    if (fault) throw invalid(field, fault)
    return bytes
  }

  return {
    create: (value: unknown) => {
      const input = check(create, value)
      const mimeType = input.mimeType ?? 'text/plain'
      const bytes = contentOf(input, mimeType)
      if (bytes === null) throw invalid('text', 'is missing; a document needs text or base64')
      return { ...input, mimeType, bytes }
    },
    update: (value: unknown) => check(update, value),
    contentOf,
    query: (value: unknown) => check(query, value),
    list: (value: unknown) => check(z.object({ filter: z.object({ title: title.nullish() }) }), value),
  }
}

export type DocumentChecks = ReturnType<typeof createDocumentChecks>

function faultOf(content: string | Buffer, mimeType: MimeType): string | null {
  if (content.length === 0) return 'is empty; some text is needed'
  if (mimeType === 'application/pdf')
    // Readers allow for some bytes before the mark.
    return content.slice(0, 1_024).includes('%PDF-') ? null : 'is no PDF file'
  const text = typeof content === 'string' ? content : decode(content)
  if (text === null || !isStorable(text)) return 'is not text in UTF-8 without NUL characters'
  return text.trim() === '' ? 'is empty; some text is needed' : null
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}
