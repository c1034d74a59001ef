import type { IncomingMessage } from 'node:http'
import type { Viewer } from '../auth/viewer.ts'
import type { Config } from '../config.ts'
import { createRates, type Rates } from '../lib/rates.ts'
import type { Log } from '../telemetry/log.ts'
import { createClientAddress } from './client-address.ts'

/** Who is counted: a user, wherever it comes from. */
export type Caller = Pick<Viewer, 'tenantId' | 'userId' | 'role'>

/**
 * Lets callers in no faster than they may. Each function throws a `RateLimitedError` for what is too much, before
 * anything of it is read.
 */
export type Admission = {
  /** One operation of a caller, by whatever door; of nobody known, by where it comes from, which is asked for then. */
  request(caller: Caller | null, address: () => string): void
  /** A connection that is to stay open. */
  connection(address: string): void
  addressOf(request: IncomingMessage): string
}

type Options = { rates: Rates; limits: Config['rates']; trustedProxyHops: number; log: Log }

export function createAdmission({ rates, limits, trustedProxyHops, log }: Options): Admission {
  const texts = { what: 'requests', setting: 'REQUESTS_PER_SECOND' }
  const user = rates.limit('user', limits.requests, texts)
  const nobody = rates.limit('address', limits.requests, {
    ...texts,
    what: 'requests without a valid token from this address',
  })
  const service = rates.limit('service', limits.serviceRequests, {
    ...texts,
    setting: 'SERVICE_REQUESTS_PER_SECOND',
  })
  const address = rates.limit('connection', limits.connectionsOfAddress, {
    what: 'new connections from this address',
    setting: 'NEW_CONNECTIONS_PER_ADDRESS',
  })
  const node = createRates(null).limit('node', limits.connectionsOfNode, {
    what: 'new connections to this server',
    setting: 'NEW_CONNECTIONS_PER_NODE',
  })
  return {
    request(caller, from) {
      if (caller === null) nobody.take(from())
      else (caller.role === 'SERVICE' ? service : user).take(`${caller.tenantId}:${caller.userId}`)
    },
    connection(from) {
      address.take(from)
      node.take('')
    },
    addressOf: createClientAddress(trustedProxyHops, () =>
      log.warn(
        'Requests come with X-Forwarded-For, but TRUSTED_PROXY_HOPS is 0: callers behind a proxy count as one address.',
      ),
    ),
  }
}
