import { storable } from '../../lib/checks.ts'
import type { DocumentText } from './chunking.ts'
import { readPdf, UnreadableContent } from './pdf.ts'

export const mimeTypes = ['text/plain', 'text/markdown', 'application/pdf'] as const
export type MimeType = (typeof mimeTypes)[number]

/** In UTF-16 units; about ten times the longest books. */
const textMaxLength = 20_000_000

/**
 * The text of a document. `onProgress` tells how much of it is read, 0 to 1. Throws `UnreadableContent` where the
 * content is at fault.
 */
export async function extractText(
  { content, mimeType }: { content: Uint8Array; mimeType: string },
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<DocumentText> {
  if (mimeType !== 'application/pdf')
    return { text: decode(content), pageStarts: [], isMarkdown: mimeType === 'text/markdown' }
  const pageStarts: number[] = []
  const pages: string[] = []
  let length = 0
  await readPdf(
    content,
    ({ number, of, text }) => {
      const page = `${storable(text)}\n\n`
      pageStarts.push(length)
      pages.push(page)
      length += page.length
      if (length > textMaxLength)
        throw new UnreadableContent(`has more than ${textMaxLength} characters of text`)
      onProgress(number / of)
    },
    signal,
  )
  const text = pages.join('')
  if (text.trim() === '') throw new UnreadableContent('has no text; pictures of pages are not read')
  return { text, pageStarts, isMarkdown: false }
}

const decode = (content: Uint8Array) => storable(new TextDecoder().decode(content)).replaceAll('\r\n', '\n')
