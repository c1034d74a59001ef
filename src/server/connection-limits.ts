import { LimitError } from '../lib/errors.ts'

export type ConnectionLimitOptions = { perNode: number; perUser: number }

/** Counts the connections that stay open, whatever door they came in by. */
export type ConnectionLimits = {
  /** A connection of nobody known yet; throws a `LimitError` where the node has as many as it may. */
  enter(): void
  leave(): void
  /** Says whose it is; throws a `LimitError` where the user has as many as it may. */
  claim(user: string): void
  unclaim(user: string): void
  /** All that are open. */
  count(): number
}

export function createConnectionLimits({ perNode, perUser }: ConnectionLimitOptions): ConnectionLimits {
  const byUser = new Map<string, number>()
  let open = 0
  return {
    count: () => open,
    enter() {
      if (open >= perNode)
        throw new LimitError(
          `This server has ${perNode} connections already (CONNECTIONS_PER_NODE).`,
          perNode,
        )
      open += 1
    },
    leave() {
      open -= 1
    },
    claim(user) {
      const count = byUser.get(user) ?? 0
      if (count >= perUser)
        throw new LimitError(`The user has ${perUser} connections already (CONNECTIONS_PER_USER).`, perUser)
      byUser.set(user, count + 1)
    },
    unclaim(user) {
      const count = byUser.get(user) ?? 0
      if (count > 1) byUser.set(user, count - 1)
      else byUser.delete(user)
    },
  }
}
