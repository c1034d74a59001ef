import { LimitError } from '../lib/errors.ts'
import type { Admission } from './admission.ts'

export type ConnectionLimitOptions = { perNode: number; perTenant: number; perUser: number }

/** Whose a connection is. */
export type Owner = { readonly tenantId: string; readonly userId: string }

/** Counts the connections that stay open, whatever door they came in by. */
export type ConnectionLimits = {
  /**
   * A connection of nobody known yet; throws a `LimitError` where the node has as many as it may, and a
   * `RateLimitedError` where too many came at once, from this address or in all.
   */
  enter(address: string): void
  leave(): void
  /** Says whose it is; throws a `LimitError` where the user or its tenant has as many as it may. */
  claim(owner: Owner): void
  unclaim(owner: Owner): void
  /** All that are open. */
  count(): number
}

export function createConnectionLimits(
  { perNode, perTenant, perUser }: ConnectionLimitOptions,
  admission: Pick<Admission, 'connection'>,
): ConnectionLimits {
  const byUser = createCounts()
  const byTenant = createCounts()
  let open = 0
  return {
    count: () => open,
    enter(address) {
      if (open >= perNode)
        throw new LimitError(
          `This server has ${perNode} connections already (CONNECTIONS_PER_NODE).`,
          perNode,
        )
      admission.connection(address)
      open += 1
    },
    leave() {
      open -= 1
    },
    claim({ tenantId, userId }) {
      if (byUser.of(userId) >= perUser)
        throw new LimitError(`The user has ${perUser} connections already (CONNECTIONS_PER_USER).`, perUser)
      if (byTenant.of(tenantId) >= perTenant)
        throw new LimitError(
          `The tenant has ${perTenant} connections already (CONNECTIONS_PER_TENANT).`,
          perTenant,
        )
      byUser.add(userId, 1)
      byTenant.add(tenantId, 1)
    },
    unclaim({ tenantId, userId }) {
      byUser.add(userId, -1)
      byTenant.add(tenantId, -1)
    },
  }
}

/** Counts by key; what is at 0 takes no room. */
function createCounts() {
  const counts = new Map<string, number>()
  const of = (key: string) => counts.get(key) ?? 0
  return {
    of,
    add(key: string, change: number) {
      const count = of(key) + change
      if (count > 0) counts.set(key, count)
      else counts.delete(key)
    },
  }
}
