import pg from 'pg'

const { TIMESTAMPTZ } = pg.types.builtins

/** How pg reads the text of values; stamps, which every row has some of, by their places. */
export const valueParsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === TIMESTAMPTZ && format !== 'binary'
      ? parseStamp
      : pg.types.getTypeParser(oid, format as 'text')) as pg.CustomTypesConfig['getTypeParser'],
}

const parseAnyStamp: (text: string) => Date = pg.types.getTypeParser(TIMESTAMPTZ)

/**
 * `2026-11-26 04:32:49.123456+00`, as PostgreSQL writes a stamp on a connection in UTC, cut to milliseconds. Every other
 * form (years beyond 9999, BC, infinity) goes to pg's own parser, which looks for all of them in each text, at ten times the cost.
 */
export function parseStamp(text: string): Date {
  const zoneAt = text.length - 3
  const isUsual =
    zoneAt >= 19 &&
    zoneAt <= 26 &&
    text.charCodeAt(4) === dash &&
    text.charCodeAt(zoneAt) === plus &&
    text.charCodeAt(zoneAt + 1) === zero &&
    text.charCodeAt(zoneAt + 2) === zero
  if (!isUsual) return parseAnyStamp(text)
  const two = (at: number) => (text.charCodeAt(at) - zero) * 10 + text.charCodeAt(at + 1) - zero
  const thousandths = (at: number, weight: number) =>
    at < zoneAt ? (text.charCodeAt(at) - zero) * weight : 0
  const milliseconds = thousandths(20, 100) + thousandths(21, 10) + thousandths(22, 1)
  const year = two(0) * 100 + two(2)
  // Date.UTC takes these for years of the last century.
  if (year < 100) return parseAnyStamp(text)
  return new Date(Date.UTC(year, two(5) - 1, two(8), two(11), two(14), two(17), milliseconds))
}

const zero = 48
const dash = 45
const plus = 43
