import { LimitError } from '../lib/errors.ts'
import type { Holds } from '../lib/holds.ts'
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
  /** Says whose it is; fails with a `LimitError` where the user or its tenant has as many as it may, on all nodes together. */
  claim(owner: Owner): Promise<void>
  unclaim(owner: Owner): void
  /** All that are open. */
  count(): number
}

export function createConnectionLimits(
  { perNode, perTenant, perUser }: ConnectionLimitOptions,
  admission: Pick<Admission, 'connection'>,
  holds: Pick<Holds, 'take' | 'give'>,
): ConnectionLimits {
  let open = 0
  const keysOf = ({ tenantId, userId }: Owner) => [`user:${userId}`, `tenant:${tenantId}`] as const
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
    async claim(owner) {
      const [user, tenant] = keysOf(owner)
      const full = await holds.take([
        { key: user, atMost: perUser },
        { key: tenant, atMost: perTenant },
      ])
      if (full === 0)
        throw new LimitError(`The user has ${perUser} connections already (CONNECTIONS_PER_USER).`, perUser)
      if (full === 1)
        throw new LimitError(
          `The tenant has ${perTenant} connections already (CONNECTIONS_PER_TENANT).`,
          perTenant,
        )
    },
    unclaim: (owner) => holds.give(keysOf(owner)),
  }
}
