import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config.ts'

export type Log = Logger

/** Where a secret may stand in what is logged; the value is replaced, the key stays. */
const secretPaths = ['authorization', 'token', 'password', 'secret', 'apiKey', 'cookie'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
])

/** JSON lines on stdout, unless another `destination` is given; for people when stdout is a terminal. */
export function createLog(
  { level }: Config['log'],
  isForPeople: boolean,
  destination?: DestinationStream,
): Log {
  const options = {
    level,
    base: null,
    redact: { paths: secretPaths, censor: '[redacted]' },
    ...(isForPeople
      ? {
          transport: {
            target: 'pino-pretty',
            options: { translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' },
          },
        }
      : {}),
  }
  return destination ? pino(options, destination) : pino(options)
}
