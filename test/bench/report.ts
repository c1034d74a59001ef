/** What one server did in one round of one case; the numbers are of any kind. */
export type Row = {
  case: string
  peer: string
  round: number
  numbers: Record<string, number>
  /** What makes the numbers worthless, or what was seen besides. */
  note?: string
}

export const progress = (text: string) => process.stderr.write(`${text}\n`)

export const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** The median, and the least and the greatest where there are several. */
export function spread(values: readonly number[], digits = 0): string {
  const known = values.filter((value) => !Number.isNaN(value))
  if (known.length === 0) return '-'
  const shown = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: digits })
  const middle = shown(median(known))
  return known.length > 1 ? `${middle} [${shown(Math.min(...known))}-${shown(Math.max(...known))}]` : middle
}

/** The ratio of a number to that of another server, round by round. */
export function ratios(rows: readonly Row[], of: string, to: string, number: string): number[] {
  const inRound = (peer: string, round: number) =>
    rows.find((row) => row.peer === peer && row.round === round)?.numbers[number] ?? Number.NaN
  const rounds = rows.filter(({ peer }) => peer === of).map(({ round }) => round)
  return rounds.map((round) => inRound(of, round) / inRound(to, round))
}

const noteLength = 120

/** A column per number, with the digits that are shown, and one per ratio. */
export type Columns = { numbers: Record<string, number>; ratioOf?: string; ratioTo?: readonly string[] }

export function printCase(
  name: string,
  rows: readonly Row[],
  { numbers, ratioOf, ratioTo = [] }: Columns,
): void {
  const peers = [...new Set(rows.map(({ peer }) => peer))]
  const lines = peers.map((peer) => {
    const own = rows.filter((row) => row.peer === peer)
    const line: Record<string, string> = { [name]: peer }
    for (const [number, digits] of Object.entries(numbers)) {
      const values = own.map((row) => row.numbers[number] ?? Number.NaN)
      line[number] = spread(values, digits)
    }
    for (const to of ratioTo)
      if (ratioOf && peers.includes(to)) line[`to ${to}`] = spread(ratios(rows, peer, to, ratioOf), 2)
    const notes = [...new Set(own.flatMap(({ note }) => note ?? []))]
    if (notes.length > 0) line.note = notes.join('; ').slice(0, noteLength)
    return line
  })
  process.stdout.write(`\n${name}\n`)
  console.table(lines)
}
