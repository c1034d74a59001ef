import { useQuery, useSubscription } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { SessionUsageQuery, UsageChanged } from './operations.ts'
import { OwnUsage } from './own-usage.tsx'
import { SessionUsage } from './session-usage.tsx'

export function UsagePanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(SessionUsageQuery, { variables: { sessionId }, fetchPolicy: 'cache-and-network' })
  useSubscription(UsageChanged, { variables: { sessionId }, onData: () => void result.refetch() })
  return (
    <Loaded result={result}>
      {({ session, viewer }) => (
        <>
          {session && <SessionUsage session={session} />}
          <OwnUsage userId={viewer.user.id} />
        </>
      )}
    </Loaded>
  )
}
