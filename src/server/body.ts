import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'

/**
 * The body as text; null where it is none. Decoders put a sign of their own in place of what they cannot read, and that
 * would be stored as something that nobody wrote. `node:stream/consumers` reads through an iterator, at several times
 * the cost.
 */
export function readText(request: IncomingMessage): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.once('end', () => {
      const bytes = Buffer.concat(chunks)
      resolve(isUtf8(bytes) ? bytes.toString() : null)
    })
    request.once('error', reject)
  })
}
