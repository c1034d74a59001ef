import { fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { PdfMessage, PdfRequest } from './pdf-process.ts'

/** The content is at fault: to try it again would not help. `message` is a sentence without its subject. */
export class UnreadableContent extends Error {}

export type Page = { number: number; of: number; text: string }

const maxPages = 5_000
const maxDurationMs = 60_000
const maxMemoryBytes = 512 * 1_048_576

// What the reader is made of, and so all that it may see of the disk: an environment file may lie beside it.
const root = join(import.meta.dirname, '../../..')
const readable = [
  import.meta.dirname,
  join(root, 'package.json'),
  join(root, 'node_modules'),
  // Elsewhere where node_modules is a link.
  join(createRequire(import.meta.url).resolve('unpdf'), '../..'),
]

const tooMuch = `takes more memory or time to read than is allowed (${maxMemoryBytes / 1_048_576} MiB, ${maxDurationMs / 1_000} s), or crashes its reader`

/**
 * Reads the text of a PDF in a process of its own, within bounds of memory, time and pages; `onPage` gets each page in
 * turn. Throws `UnreadableContent` where the file is at fault, the signal's reason where that aborts.
 */
export async function readPdf(
  bytes: Uint8Array,
  onPage: (page: Page) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const reader = fork(join(import.meta.dirname, 'pdf-process.ts'), {
    env: {},
    execArgv: [
      '--permission',
      '--allow-worker',
      ...readable.map((path) => `--allow-fs-read=${path}`),
      '--max-old-space-size=384',
    ],
    serialization: 'advanced',
    stdio: 'ignore',
  })
  const ended = Promise.withResolvers<void>()
  const kill = () => reader.kill('SIGKILL')
  const timer = setTimeout(kill, maxDurationMs)
  signal.addEventListener('abort', kill, { once: true })
  reader.on('message', (message: PdfMessage) => {
    if (message.type === 'end') return ended.resolve()
    if (message.type === 'fault') return ended.reject(new UnreadableContent(message.message))
    try {
      onPage(message)
    } catch (error) {
      ended.reject(error)
    }
  })
  reader.once('error', ended.reject)
  // Comes after the messages that were sent before.
  reader.once('close', () => ended.reject(signal.aborted ? signal.reason : new UnreadableContent(tooMuch)))
  reader.send({ bytes, maxPages, maxMemoryBytes } satisfies PdfRequest, () => {})
  try {
    await ended.promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
    kill()
  }
}
