/**
 * A delivery is counted by its mark: `@`, the moment of its publication as 13 digits of microseconds, `@`. Marks stay
 * readable in any framing that leaves text as it is, and several in one frame are several deliveries.
 */
const digits = 13
const at = 0x40
const zero = 0x30

// The closest of some readings: the first ones take long, and the clocks of two processes must agree on microseconds.
const startMicros = Math.min(
  ...Array.from({ length: 100 }, () => {
    const elapsedMicros = performance.now() * 1_000
    return Number(process.hrtime.bigint()) / 1_000 - elapsedMicros
  }),
)

/** Microseconds on the clock that all processes of the machine share. */
export const nowMicros = () => Math.floor(startMicros + performance.now() * 1_000)

/** Text as long as a token and its mark, or longer by `filler`. */
export const markedText = (filler = '') => ` word${filler}@${String(nowMicros()).padStart(digits, '0')}@`

/** How many marks there are in these bytes of a buffer; `each` gets the moment of each where it is given. */
export function countMarks(
  bytes: Buffer,
  from: number,
  to: number,
  each: ((micros: number) => void) | null,
): number {
  let count = 0
  let place = bytes.indexOf(at, from)
  while (place !== -1 && place < to) {
    if (bytes[place + digits + 1] !== at) {
      place = bytes.indexOf(at, place + 1)
      continue
    }
    count += 1
    if (each) each(momentAt(bytes, place + 1))
    place = bytes.indexOf(at, place + digits + 2)
  }
  return count
}

function momentAt(bytes: Buffer, from: number): number {
  let micros = 0
  for (let place = from; place < from + digits; place += 1) micros = micros * 10 + (bytes[place] ?? 0) - zero
  return micros
}

/** What it took from publication to arrival, in milliseconds. */
export type Latencies = { add(micros: number): void; readonly samples: number; at(share: number): number }

const maxSamples = 4_000_000

export function createLatencies(): Latencies {
  const values: number[] = []
  let isSorted = false
  return {
    add(micros) {
      if (values.length < maxSamples) values.push((nowMicros() - micros) / 1_000)
      isSorted = false
    },
    get samples() {
      return values.length
    },
    at(share) {
      if (!isSorted) values.sort((a, b) => a - b)
      isSorted = true
      return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
    },
  }
}
