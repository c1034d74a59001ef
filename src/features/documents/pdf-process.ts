/**
 * A process of its own, started by `pdf.ts`: reads one PDF and sends its text page by page. The file may be made to do
 * harm. Here it finds no secrets, may not write or start anything, and takes no more memory than this process may have.
 */
import { Worker } from 'node:worker_threads'
import { getDocumentProxy } from 'unpdf'

export type PdfRequest = { bytes: Uint8Array; maxPages: number; maxMemoryBytes: number }

export type PdfMessage =
  | { type: 'page'; number: number; of: number; text: string }
  | { type: 'end' }
  /** A sentence without its subject, which is the file. */
  | { type: 'fault'; message: string }

// Unpacking blocks the thread that does it and takes memory beside the heap, which no option of Node bounds.
const watchdog = (maxMemoryBytes: number) => `
  setInterval(() => {
    if (process.memoryUsage.rss() > ${maxMemoryBytes}) process.kill(process.pid, 'SIGKILL')
  }, 20)`

process.once('message', (request: PdfRequest) => {
  new Worker(watchdog(request.maxMemoryBytes), { eval: true })
  void read(request)
    .catch((error: unknown): PdfMessage => ({ type: 'fault', message: faultOf(error) }))
    .then((last) => process.send?.(last, () => process.exit()))
})

async function read({ bytes, maxPages }: PdfRequest): Promise<PdfMessage> {
  const pdf = await getDocumentProxy(new Uint8Array(bytes), {
    useSystemFonts: false,
    maxImageSize: 1,
    verbosity: 0,
  })
  if (pdf.numPages > maxPages)
    return { type: 'fault', message: `has ${pdf.numPages} pages; at most ${maxPages} are allowed` }
  for (let number = 1; number <= pdf.numPages; number += 1) {
    const page = await pdf.getPage(number)
    const { items } = await page.getTextContent()
    const text = items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('')
    page.cleanup()
    const message: PdfMessage = { type: 'page', number, of: pdf.numPages, text }
    // Waits until it is sent: else the text of all pages would pile up here.
    await new Promise((resolve) => process.send?.(message, resolve))
  }
  return { type: 'end' }
}

function faultOf(error: unknown): string {
  const name = error instanceof Error ? error.name : ''
  if (name === 'PasswordException') return 'is protected by a password; give a copy without one'
  return 'is broken, or no PDF file'
}
