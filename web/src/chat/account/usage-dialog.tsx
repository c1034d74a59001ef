import { OwnUsage } from '../panels/usage/own-usage.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { useViewer } from '../viewer.ts'

export function UsageDialog({ onClose }: { onClose: () => void }) {
  const { viewer } = useViewer()
  return (
    <Dialog title="Usage and cost" onClose={onClose}>
      {viewer && <OwnUsage userId={viewer.user.id} />}
    </Dialog>
  )
}
