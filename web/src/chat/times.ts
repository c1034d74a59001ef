const dayMs = 86_400_000
const startOfDay = (time: number) => new Date(time).setHours(0, 0, 0, 0)

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' })
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })

/** As short as it can be told: the time of today, the day of this week, else the date. */
export function shortTime(iso: string, now = Date.now()): string {
  const time = Date.parse(iso)
  const age = startOfDay(now) - startOfDay(time)
  if (age <= 0) return clock.format(time)
  if (age < 7 * dayMs) return weekday.format(time)
  const isThisYear = new Date(time).getFullYear() === new Date(now).getFullYear()
  return (isThisYear ? day : dayOfYear).format(time)
}

export const fullTime = (iso: string) => full.format(Date.parse(iso))

/** The heading under which a list of the latest first puts a time. */
export function periodOf(iso: string, now = Date.now()): string {
  const age = startOfDay(now) - startOfDay(Date.parse(iso))
  if (age <= 0) return 'Today'
  if (age <= 1.5 * dayMs) return 'Yesterday'
  if (age < 7.5 * dayMs) return 'Last 7 days'
  if (age < 30.5 * dayMs) return 'Last 30 days'
  return 'Older'
}
