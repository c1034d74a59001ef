import { useQuery } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { DangerZone } from './danger-zone.tsx'
import { SessionSettingsQuery } from './operations.ts'
import { SessionFacts } from './session-facts.tsx'
import { SettingsForm } from './settings-form.tsx'
import { Templates } from './templates.tsx'

export function SettingsPanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(SessionSettingsQuery, {
    variables: { sessionId },
    ...readAnew,
  })
  return (
    <Loaded result={result}>
      {({ session }) =>
        session && (
          <>
            <SettingsForm key={session.id} session={session} />
            <SessionFacts session={session} />
            <Templates session={session} />
            {session.viewerRole === 'OWNER' && <DangerZone session={session} />}
          </>
        )
      }
    </Loaded>
  )
}
