import { useQuery } from '@apollo/client/react'
import { useState } from 'react'
import { Tabs } from '../tabs.tsx'
import { MemoryList } from './memory-list.tsx'
import { MemoryRightsQuery } from './operations.ts'

const scopes = [
  { id: 'SESSION', label: 'This conversation' },
  { id: 'USER', label: 'About you' },
] as const

export function MemoryPanel({ sessionId }: { sessionId: string }) {
  const [scope, setScope] = useState<(typeof scopes)[number]['id']>('SESSION')
  const { data } = useQuery(MemoryRightsQuery, { variables: { sessionId } })
  const mayChange = scope === 'USER' || (data?.session ? data.session.viewerRole !== 'VIEWER' : false)
  return (
    <Tabs tabs={scopes} chosen={scope} onChoose={setScope} label="Whose memory">
      <MemoryList key={scope} {...{ sessionId, mayChange, scope }} />
    </Tabs>
  )
}
