import { OwnUsage } from '../panels/usage/own-usage.tsx'
import { Quotas } from '../panels/usage/quotas.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { useViewer } from '../viewer.ts'

export function UsageDialog({ onClose }: { onClose: () => void }) {
  const { viewer } = useViewer()
  return (
    <Dialog title="Usage and cost" onClose={onClose}>
      <Quotas />
      {viewer && <OwnUsage userId={viewer.user.id} />}
    </Dialog>
  )
}
