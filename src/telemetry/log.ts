import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config.ts'

export type Log = Logger

/** Where a secret may stand in what is logged; the value is replaced, the key stays. */
const secretPaths = ['authorization', 'token', 'password', 'secret', 'apiKey', 'cookie'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
])

/** What an error is and where. What else it carries may be somebody's text, such as the row that PostgreSQL refused. */
function errorFields(error: unknown) {
  if (!(error instanceof Error)) return String(error)
  const { type, message, stack, code, constraint, table } = pino.stdSerializers.err(error)
  return { type, message, stack, code, constraint, table }
}

/** JSON lines on stdout, unless another `destination` is given; for people when stdout is a terminal. */
export function createLog(
  { level }: Config['log'],
  isForPeople: boolean,
  destination?: DestinationStream,
): Log {
  const options = {
    level,
    base: null,
    serializers: { err: errorFields },
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
