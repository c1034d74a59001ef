import { Suspense, useState } from 'react'
import { Menu } from '../ui/menu.tsx'
import { sessionDialogs } from './list.ts'

/** What can be done with a session, each in a dialog of its own. */
export function SessionMenu({ sessionId, label }: { sessionId: string; label: string }) {
  const [openId, setOpenId] = useState<string | null>(null)
  const open = sessionDialogs.find(({ id }) => id === openId)
  const items = sessionDialogs.map(({ id, label, icon }) => ({ label, icon, onSelect: () => setOpenId(id) }))
  return (
    <>
      <Menu label={label} items={items} />
      {open && (
        <Suspense>
          <open.Dialog sessionId={sessionId} onClose={() => setOpenId(null)} />
        </Suspense>
      )}
    </>
  )
}
