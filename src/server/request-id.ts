import { randomUUID } from 'node:crypto'

/** The id that a proxy or a client gave a request, where it is one that can stand in a log; else a new one. */
export const newRequestId = (given: string | string[] | undefined): string =>
  typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
