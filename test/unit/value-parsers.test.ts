import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { parseStamp } from '../../src/db/value-parsers.ts'

const parseAny: (text: string) => Date = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ)

describe('a stamp of PostgreSQL', () => {
  it('is read as pg reads it, to the millisecond', () => {
    const stamp = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    fc.assert(
      fc.property(stamp, fc.integer({ min: 0, max: 999 }), (date, micros) => {
        const whole = date.toISOString().replace('T', ' ').slice(0, 19)
        const fraction = `${date.toISOString().slice(20, 23)}${String(micros).padStart(3, '0')}`
        const text = `${whole}.${fraction}`.replace(/\.?0+$/, '')
        expect(parseStamp(`${text}+00`)).toEqual(date)
      }),
    )
  })

  it.each([
    '2026-11-26 04:32:49+00',
    '2026-11-26 04:32:49.1+00',
    '2026-11-26 04:32:49.12+00',
    '2026-11-26 04:32:49.123456+00',
    '2026-11-26 04:32:49.123456+02',
    '2026-11-26 04:32:49.123456+05:30',
    '2026-11-26 04:32:49.123456-03',
    '0044-03-15 12:00:00+00 BC',
    '0044-03-15 12:00:00+00',
    '12026-11-26 04:32:49+00',
    'infinity',
    '-infinity',
  ])('%s is read as pg reads it', (text) => {
    expect(parseStamp(text)).toEqual(parseAny(text))
  })
})
