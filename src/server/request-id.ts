import { randomUUID } from 'node:crypto'

/** The id that a proxy or a client gave a request, where it is one that can stand in a log; else a new one. */
export const newRequestId = (given: string | string[] | undefined): string =>
  typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : flat(randomUUID())

/** As one piece of memory: what Node gives is twelve joined ones, and a subscription keeps its id for as long as it lives. */
const flat = (text: string) => Buffer.from(text, 'latin1').toString('latin1')
