import { fromUUID, TypeID, typeid } from 'typeid-js'
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

export const encodeId = (type: IdType, uuid: string): string => fromUUID(uuid, idPrefixes[type])

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
