export type Interval = 'HOUR' | 'DAY' | 'MONTH'

/** From `since` until before `until`. */
export type Span = { since: Date; until: Date }

/** The starts of the intervals in UTC that the span touches, at most `limit` of them. */
export function startsOf({ since, until }: Span, interval: Interval, limit: number): Date[] {
  const starts: Date[] = []
  for (
    let start = startOf(since, interval);
    start < until && starts.length < limit;
    start = after(start, interval)
  )
    starts.push(start)
  return starts
}

/** When the interval in UTC that a moment is in begins. */
export function startOf(date: Date, interval: Interval): Date {
  const start = new Date(date)
  start.setUTCMinutes(0, 0, 0)
  if (interval !== 'HOUR') start.setUTCHours(0)
  if (interval === 'MONTH') start.setUTCDate(1)
  return start
}

/** When the interval that begins then is over. */
export function after(start: Date, interval: Interval): Date {
  const next = new Date(start)
  if (interval === 'HOUR') next.setUTCHours(next.getUTCHours() + 1)
  if (interval === 'DAY') next.setUTCDate(next.getUTCDate() + 1)
  if (interval === 'MONTH') next.setUTCMonth(next.getUTCMonth() + 1)
  return next
}

export const isBefore = (a: Date, b: Date) => a.getTime() < b.getTime()

export const earlier = (a: Date, b: Date) => (isBefore(a, b) ? a : b)

/** When the first interval begins that does not begin before then. */
export function firstWhole(since: Date, interval: Interval): Date {
  const touched = startOf(since, interval)
  return isBefore(touched, since) ? after(touched, interval) : touched
}

/** What of the span lies within the interval that begins then. */
export function clip({ since, until }: Span, start: Date, interval: Interval): Span {
  return {
    since: isBefore(since, start) ? start : since,
    until: earlier(until, after(start, interval)),
  }
}

/** What is left of the span without others, which lie within it and do not overlap. */
export function without({ since, until }: Span, others: readonly Span[]): Span[] {
  const taken = others.toSorted((a, b) => a.since.getTime() - b.since.getTime())
  const starts = [since, ...taken.map((each) => each.until)]
  const ends = [...taken.map((each) => each.since), until]
  return starts.flatMap((start, index) => {
    const end = ends[index] ?? until
    return isBefore(start, end) ? { since: start, until: end } : []
  })
}
