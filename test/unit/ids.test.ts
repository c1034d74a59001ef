import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ValidationError } from '../../src/lib/errors.ts'
import { decodeId, decodeIdOf, encodeId, type IdType, idPrefixes, isUuid, newId } from '../../src/lib/ids.ts'

const types = Object.keys(idPrefixes) as IdType[]

const faultOf = (work: () => unknown) => {
  try {
    return expect.fail(`accepted: ${JSON.stringify(work())}`)
  } catch (error) {
    expect(error).toBeInstanceOf(ValidationError)
    return (error as ValidationError).fields
  }
}

describe('an id', () => {
  it.each(types)('of a %s is told from all others and comes back', (type) => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        const id = encodeId(type, uuid)
        expect(id).toMatch(/^[a-z]+_[0-7][0-9a-z]{25}$/)
        expect(decodeId(id)).toEqual({ type, uuid })
        for (const other of types) {
          if (other === type) expect(decodeIdOf(other, id)).toBe(uuid)
          else
            expect(faultOf(() => decodeIdOf(other, id, 'input.id'))).toEqual([
              {
                path: 'input.id',
                message: `is the id of a ${idPrefixes[type]}; expected one of a ${idPrefixes[other]} (${idPrefixes[other]}_…)`,
              },
            ])
        }
      }),
      { numRuns: 20 },
    )
  })

  it('is refused in any other spelling, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.json()),
        (text) => {
          expect(faultOf(() => decodeId(text, 'x'))).toMatchObject([
            { path: 'x', message: expect.stringContaining('is not an id; ids look like session_') },
          ])
        },
      ),
    )
    const id = encodeId('Session', randomUUID())
    for (const text of [
      id.toUpperCase(),
      ` ${id}`,
      `${id} `,
      `${id}\n`,
      `${id}0`,
      id.slice(0, -1),
      `session__${id.slice(8)}`,
    ])
      faultOf(() => decodeId(text))
  })

  it('is repeated in the fault only as far as an id is long', () => {
    const [fault] = faultOf(() => decodeId('x'.repeat(100_000)))
    expect(fault?.message.length).toBeLessThan(200)
  })

  it('sorts by creation in either form', () => {
    const uuids = Array.from({ length: 200 }, newId)
    expect(uuids.toSorted()).toEqual(uuids)
    const ids = uuids.map((uuid) => encodeId('Run', uuid))
    expect(ids.toSorted()).toEqual(ids)
  })
})

it('a UUID is one in the spelling of PostgreSQL only', () => {
  const uuid = newId()
  expect(isUuid(uuid)).toBe(true)
  for (const text of ['', uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll('-', ''), `${uuid}\n`, ` ${uuid}`])
    expect([text, isUuid(text)]).toEqual([text, false])
})
