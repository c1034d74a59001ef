import { useAction } from '../action.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { countOf } from '../numbers.ts'
import { PurgeSession } from './operations.ts'

type Props = {
  session: { id: string; title: string | null; messageCount: number }
  onClose: () => void
  onPurged: () => void
}

export function PurgeDialog({ session: { id, title, messageCount }, onClose, onPurged }: Props) {
  const purge = useAction(PurgeSession)
  async function confirm() {
    if (!(await purge.run({ input: { sessionId: id } }))) return
    onClose()
    onPurged()
  }
  return (
    <ConfirmDialog
      title={`Erase “${title ?? 'Untitled'}”?`}
      confirm="Erase for good"
      isBusy={purge.isBusy}
      fault={purge.fault}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      Its {countOf(messageCount, 'message')} and what is remembered in it go for good, for everybody who takes
      part. Its usage stays counted. This cannot be undone.
    </ConfirmDialog>
  )
}
