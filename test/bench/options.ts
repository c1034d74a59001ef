import { parseArgs } from 'node:util'

/** What of the bench is run, and how long. */
export type Options = {
  part: Part
  rounds: number
  seconds: number
  /** Names of cases or pieces of work; empty means all of the part. */
  only: readonly string[]
  /** Names of servers; empty means all that the part has. */
  peers: readonly string[]
  connections: number
  /** Where the results go as JSON too. */
  json: string | null
  /** How many deliveries are under way at saturation. */
  window: number
  /** Sessions of the tenants that `growth` compares, the first with the others. */
  sizes: readonly number[]
}

export type Part = 'http' | 'growth' | 'isolation' | 'neighbours' | 'live' | 'sends' | 'all'

const parts: readonly string[] = ['http', 'growth', 'isolation', 'neighbours', 'live', 'sends', 'all']

export function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      peers: { type: 'string', default: '' },
      connections: { type: 'string', default: '32' },
      json: { type: 'string' },
      window: { type: 'string', default: '3000' },
      sizes: { type: 'string', default: '1000,100000' },
    },
  })
  const [part = 'http'] = positionals
  if (!parts.includes(part)) throw new Error(`Unknown part ${part}; there are: ${parts.join(', ')}.`)
  return {
    part: part as Part,
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    only: listOf(values.only),
    peers: listOf(values.peers),
    connections: positive('connections', values.connections),
    json: values.json ?? null,
    window: positive('window', values.window),
    sizes: listOf(values.sizes).map((size) => positive('sizes', size)),
  }
}

const listOf = (text: string) => text.split(',').filter(Boolean)

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name}: ${JSON.stringify(text)} is not a number above 0.`)
  return value
}
