import { useQuery, useSubscription } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { QuotasQuery, SessionUsageQuery, UsageChanged, UsageQuery } from './operations.ts'
import { OwnUsage } from './own-usage.tsx'
import { Quotas } from './quotas.tsx'
import { SessionUsage } from './session-usage.tsx'

export function UsagePanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(SessionUsageQuery, { variables: { sessionId }, ...readAnew })
  useSubscription(UsageChanged, {
    variables: { sessionId },
    onData: ({ client }) =>
      void client.refetchQueries({ include: [SessionUsageQuery, UsageQuery, QuotasQuery] }),
  })
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
