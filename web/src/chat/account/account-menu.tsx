import { Suspense, useState } from 'react'
import { Menu, type MenuItem } from '../ui/menu.tsx'
import { accountDialogs } from './account-dialogs.ts'

/** What concerns all conversations, each in a dialog of its own, and what else is to be in the menu. */
export function AccountMenu({ items }: { items: readonly MenuItem[] }) {
  const [openId, setOpenId] = useState<string | null>(null)
  const open = accountDialogs.find(({ id }) => id === openId)
  const dialogs = accountDialogs.map(({ id, label, icon }) => ({
    label,
    icon,
    onSelect: () => setOpenId(id),
  }))
  return (
    <>
      <Menu label="Account" items={[...dialogs, ...items]} />
      {open && (
        <Suspense>
          <open.Dialog onClose={() => setOpenId(null)} />
        </Suspense>
      )}
    </>
  )
}
