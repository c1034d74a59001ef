import { Writable } from 'node:stream'
import type { Config } from '../../src/config.ts'
import { createLog, type Log } from '../../src/telemetry/log.ts'

/** A log for a test to read, line by line as it was written. The server's own LOG_LEVEL does not count for it. */
export function keepLog(level: Config['log']['level'] = 'trace'): { log: Log; lines: readonly string[] } {
  const lines: string[] = []
  const kept = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return { log: createLog({ level }, false, kept), lines }
}
