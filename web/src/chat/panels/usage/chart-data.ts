import type { UsageQuery } from '../../../generated/graphql.ts'

type Bucket = UsageQuery['usage'][number]
export type Measure = 'cost' | 'tokens' | 'runs'

/** One column of the chart: a day, and what each model of it came to. */
export type Day = { date: string; total: number; parts: { model: string; value: number }[] }

const measures: Record<Measure, (bucket: Bucket) => number> = {
  cost: ({ cost }) => Number(cost),
  tokens: ({ inputTokens, outputTokens }) => inputTokens + outputTokens,
  runs: ({ runs }) => runs,
}

/** UTC, as the server counts its days. */
export function lastDays(count: number, now: Date): { from: string; to: string; dates: string[] } {
  const dayMs = 86_400_000
  const today = Math.floor(now.getTime() / dayMs) * dayMs
  const dates = Array.from({ length: count }, (_, index) => isoDay(today - (count - 1 - index) * dayMs))
  return { from: `${dates[0]}T00:00:00Z`, to: `${isoDay(today + dayMs)}T00:00:00Z`, dates }
}

const isoDay = (time: number) => new Date(time).toISOString().slice(0, 10)

/** Models that something was used of, the one with the most first. */
export function modelsOf(buckets: readonly Bucket[], measure: Measure): string[] {
  const sums = new Map<string, number>()
  for (const bucket of buckets) {
    const model = bucket.key ?? ''
    sums.set(model, (sums.get(model) ?? 0) + measures[measure](bucket))
  }
  return [...sums]
    .filter(([, sum]) => sum > 0)
    .sort(([, one], [, other]) => other - one)
    .map(([model]) => model)
}

/** Every day has a column, also one without use. */
export function daysOf(buckets: readonly Bucket[], dates: readonly string[], measure: Measure): Day[] {
  const models = modelsOf(buckets, measure)
  return dates.map((date) => {
    const ofDay = buckets.filter(({ start }) => start.startsWith(date))
    const parts = models.flatMap((model) => {
      const bucket = ofDay.find(({ key }) => (key ?? '') === model)
      return bucket ? [{ model, value: measures[measure](bucket) }] : []
    })
    return { date, parts, total: parts.reduce((sum, { value }) => sum + value, 0) }
  })
}

/** The end of the scale: the next of 1, 2, 5 and their tens. */
export function scaleTop(largest: number): number {
  if (largest <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(largest))
  const step = [1, 2, 5, 10].find((each) => each * power >= largest * 0.999) ?? 10
  return step * power
}
