import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { presentError } from '../../src/graphql/errors.ts'
import { noMeter } from '../../src/lib/meter.ts'
import { schema } from '../../src/schema.ts'
import { createGraphqlServer } from '../../src/server/yoga.ts'
import { createLog } from '../../src/telemetry/log.ts'

it.each(['*/*', 'text/event-stream', 'application/json'])(
  'Yoga runs no subscription itself, whatever its answer should be: %s',
  async (accept) => {
    const yoga = createGraphqlServer({
      schema,
      corsOrigins: [],
      limits: loadConfig({}).operations,
      introspection: 'everybody',
      contextOf: async ({ requestId }) => ({ requestId, viewer: null, services: {} as never }),
      present: (error, requestId) => presentError(error, requestId, { report: () => {}, hidesNames: false }),
      meter: noMeter,
      log: createLog({ level: 'silent' }, false),
    })
    const response = await yoga.fetch(
      'http://localhost/graphql',
      {
        method: 'POST',
        headers: { accept, 'content-type': 'application/json' },
        body: JSON.stringify({ query: 'subscription { sessionChanged { kind } }' }),
      },
      { origin: { requestId: 'one', authorization: null, gone: () => AbortSignal.abort() } },
    )
    expect(await response.text()).toContain('Subscriptions are answered as server-sent events')
  },
)
