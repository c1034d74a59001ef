import type { Caller } from './admission.ts'

/** A caller and what proves it, as an authorization header has it. */
export type Bearer = Caller & { readonly authorization: string }

/**
 * Those whose connections are open, each once for all connections with one token: tokens have a kilobyte often, and the tabs
 * of a browser share theirs.
 */
export type Bearers = {
  /** One connection more, which is to `leave` when it ends. */
  enter(caller: Caller, token: string): Bearer
  leave(bearer: Bearer): void
}

export function createBearers(): Bearers {
  const open = new Map<string, { bearer: Bearer; connections: number }>()
  return {
    enter({ tenantId, userId, role }, token) {
      const authorization = `Bearer ${token}`
      const known = open.get(authorization)
      // A token may stand for somebody else than before: a user who was erased comes back as a new one.
      if (known?.bearer.userId === userId) {
        known.connections += 1
        return known.bearer
      }
      const bearer = { tenantId, userId, role, authorization }
      open.set(authorization, { bearer, connections: 1 })
      return bearer
    },
    leave(bearer) {
      const known = open.get(bearer.authorization)
      if (known?.bearer !== bearer) return
      known.connections -= 1
      if (known.connections === 0) open.delete(bearer.authorization)
    },
  }
}
