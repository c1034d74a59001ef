import { useState } from 'react'
import { Tabs } from '../tabs.tsx'
import { useRole } from '../use-role.ts'
import { MemoryList } from './memory-list.tsx'

const scopes = [
  { id: 'SESSION', label: 'This conversation' },
  { id: 'USER', label: 'About you' },
] as const

export function MemoryPanel({ sessionId }: { sessionId: string }) {
  const [scope, setScope] = useState<(typeof scopes)[number]['id']>('SESSION')
  const role = useRole(sessionId)
  const mayChange = scope === 'USER' || role === 'OWNER' || role === 'EDITOR'
  return (
    <Tabs tabs={scopes} chosen={scope} onChoose={setScope} label="Whose memory">
      <MemoryList key={scope} {...{ sessionId, mayChange, scope }} />
    </Tabs>
  )
}
