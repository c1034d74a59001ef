import { TypeID, typeid } from 'typeid-js'
import { invalid } from './errors.ts'

/**
 * Ids are TypeIDs at the edge (`session_01h455vb4pex5vsknk084sn02q`) and the UUIDv7 that they carry everywhere
 * else. Sorting either form sorts by creation. See https://github.com/jetify-com/typeid for the format.
 */
export const idPrefixes = {
  Tenant: 'tenant',
  User: 'user',
  Agent: 'agent',
  Session: 'session',
  Message: 'message',
  Run: 'run',
  Memory: 'memory',
  Template: 'template',
  Document: 'document',
} as const

export type IdType = keyof typeof idPrefixes

const typeByPrefix = new Map(Object.entries(idPrefixes).map(([type, prefix]) => [prefix, type as IdType]))

/** A new UUIDv7. */
export const newId = (): string => typeid().toUUID()

export const isUuid = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)

/** The TypeID of a UUID in its canonical form. A page has hundreds of them: typeid-js took four times as long for each. */
export function encodeId(type: IdType, uuid: string): string {
  const value = (at: number) => hexValues[uuid.charCodeAt(hexPlaces[at] as number)] as number
  let id = `${idPrefixes[type]}_${base32Pairs[(value(0) << 4) | value(1)]}`
  for (let at = 2; at < 32; at += 5) {
    const high = (value(at) << 6) | (value(at + 1) << 2) | (value(at + 2) >> 2)
    const low = ((value(at + 2) & 3) << 8) | (value(at + 3) << 4) | value(at + 4)
    id += `${base32Pairs[high]}${base32Pairs[low]}`
  }
  return id
}

const base32 = '0123456789abcdefghjkmnpqrstvwxyz'
/** Two digits for each ten bits. */
const base32Pairs = Array.from({ length: 1_024 }, (_, bits) => `${base32[bits >> 5]}${base32[bits & 31]}`)
/** By character code. */
const hexValues = Uint8Array.from({ length: 128 }, (_, code) =>
  Number.parseInt(String.fromCharCode(code), 16),
)
/** Where the 32 digits of a UUID stand. */
const hexPlaces = Array.from({ length: 36 }, (_, at) => at).filter((at) => ![8, 13, 18, 23].includes(at))

/** The type and UUID of a TypeID; throws a `ValidationError` that says what an id looks like. */
export function decodeId(id: string, path = 'id'): { type: IdType; uuid: string } {
  const type = typeByPrefix.get(id.slice(0, Math.max(0, id.lastIndexOf('_'))) as never)
  if (type === undefined || id.length > 64) throw malformed(id, path)
  try {
    return { type, uuid: TypeID.fromString(id, idPrefixes[type]).toUUID() }
  } catch {
    throw malformed(id, path)
  }
}

/** The UUID of an id that must be of the given type. */
export function decodeIdOf(expected: IdType, id: string, path = 'id'): string {
  const { type, uuid } = decodeId(id, path)
  if (type !== expected)
    throw invalid(
      path,
      `is the id of a ${idPrefixes[type]}; expected one of a ${idPrefixes[expected]} (${idPrefixes[expected]}_…)`,
    )
  return uuid
}

const malformed = (id: string, path: string) =>
  invalid(
    path,
    `${JSON.stringify(id.slice(0, 64))} is not an id; ids look like session_01h455vb4pex5vsknk084sn02q`,
  )
