const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const whole = new Intl.NumberFormat('en')
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export const inFull = (count: number): string => whole.format(count)
/** Such as 12.4K. */
export const inShort = (count: number): string => compact.format(count)
export const countOf = (count: number, one: string, many = `${one}s`): string =>
  `${whole.format(count)} ${count === 1 ? one : many}`
export const dayOf = (date: string): string => day.format(new Date(date))
export const momentOf = (date: string): string => moment.format(new Date(date))

/** US dollars with as many digits as tell something: $0.0004, $1.20. */
export function dollars(amount: string): string {
  const value = Number(amount)
  if (value === 0) return '$0'
  if (value < 0.0001) return '< $0.0001'
  return `$${value < 0.1 ? Number(value.toPrecision(2)).toString() : value.toFixed(2)}`
}

export function bytesInWords(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB']
  const step = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1)
  const value = bytes / 1_000 ** step
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${units[step]}`
}
