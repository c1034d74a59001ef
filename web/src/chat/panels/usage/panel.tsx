import { useApolloClient, useQuery } from '@apollo/client/react'
import { useSessionChanges } from '@parley/client/apollo'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { QuotasQuery, SessionUsageQuery, UsageQuery } from './operations.ts'
import { OwnUsage } from './own-usage.tsx'
import { Quotas } from './quotas.tsx'
import { SessionUsage } from './session-usage.tsx'

const changes = ['RunFinished', 'SessionSnapshot'] as const

export function UsagePanel({ sessionId }: { sessionId: string }) {
  const client = useApolloClient()
  const result = useQuery(SessionUsageQuery, { variables: { sessionId }, ...readAnew })
  useSessionChanges(sessionId, changes, () =>
    client.refetchQueries({ include: [SessionUsageQuery, UsageQuery, QuotasQuery] }),
  )
  return (
    <Loaded result={result}>
      {({ session, viewer }) => (
        <>
          {session && <SessionUsage session={session} />}
          <Quotas />
          <OwnUsage userId={viewer.user.id} />
        </>
      )}
    </Loaded>
  )
}
