import { useQuery } from '@apollo/client/react'
import { ConfirmDialog } from '../panels/confirm-dialog.tsx'
import { useDeletion } from '../panels/settings/use-deletion.ts'
import { navigate, useRoute } from '../route.ts'
import { SessionNameQuery } from './operations.ts'

export function DeleteDialog({ sessionId, onClose }: { sessionId: string; onClose: () => void }) {
  const route = useRoute()
  const { data } = useQuery(SessionNameQuery, { variables: { sessionId } })
  const deletion = useDeletion()
  const title = data?.session?.title ?? null

  async function confirm() {
    if (!(await deletion.remove({ id: sessionId, title }))) return
    onClose()
    if (route.sessionId === sessionId) navigate({ sessionId: null }, { replace: true })
  }

  return (
    <ConfirmDialog
      title={`Delete “${title ?? 'Untitled'}”?`}
      confirm="Delete"
      isBusy={deletion.isBusy}
      fault={deletion.fault}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      It goes out of sight for everybody who takes part. Its owners can restore it from the menu of their
      account.
    </ConfirmDialog>
  )
}
