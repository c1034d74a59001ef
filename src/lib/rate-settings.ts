import { z } from 'zod'
import { pace, whole } from './setting-kinds.ts'

/** How fast callers may go; a rate of 0 is no limit. */
export const rateSettings = z.object({
  NEW_CONNECTIONS_PER_ADDRESS: pace(10),
  NEW_CONNECTIONS_BURST: whole(50, 1),
  NEW_CONNECTIONS_PER_NODE: whole(500, 0),
  REQUESTS_PER_SECOND: pace(20),
  REQUESTS_BURST: whole(60, 1),
  SERVICE_REQUESTS_PER_SECOND: whole(1_000, 0),
  OPERATIONS_PER_SECOND: pace(20),
  OPERATIONS_BURST: whole(50, 1),
  SENDS_PER_MINUTE: whole(30, 0),
  SENDS_PER_MINUTE_PER_TENANT: whole(600, 0),
})

export const arrangeRates = (s: z.infer<typeof rateSettings>) => ({
  requests: { perSecond: s.REQUESTS_PER_SECOND, burst: s.REQUESTS_BURST },
  serviceRequests: { perSecond: s.SERVICE_REQUESTS_PER_SECOND, burst: 2 * s.SERVICE_REQUESTS_PER_SECOND },
  operations: { perSecond: s.OPERATIONS_PER_SECOND, burst: s.OPERATIONS_BURST },
  sends: { perSecond: s.SENDS_PER_MINUTE / 60, burst: s.SENDS_PER_MINUTE },
  sendsOfTenant: { perSecond: s.SENDS_PER_MINUTE_PER_TENANT / 60, burst: s.SENDS_PER_MINUTE_PER_TENANT },
  connectionsOfAddress: { perSecond: s.NEW_CONNECTIONS_PER_ADDRESS, burst: s.NEW_CONNECTIONS_BURST },
  connectionsOfNode: { perSecond: s.NEW_CONNECTIONS_PER_NODE, burst: s.NEW_CONNECTIONS_PER_NODE },
})
