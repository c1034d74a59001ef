import { useAction } from '../action.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { countOf } from '../numbers.ts'
import { ClearMemories, type Place } from './operations.ts'

type Props = { place: Place; prefix: string; count: number; onClose: () => void }

export function ClearDialog({ place, prefix, count, onClose }: Props) {
  const clear = useAction(ClearMemories)
  async function confirm() {
    if (await clear.run({ input: { ...place, prefix: prefix || null } })) onClose()
  }
  return (
    <ConfirmDialog
      title={`Forget ${countOf(count, 'memory', 'memories')}?`}
      confirm="Forget"
      isBusy={clear.isBusy}
      fault={clear.fault}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      {place.scope === 'USER'
        ? 'They hold in all of your conversations. This cannot be undone.'
        : 'Everybody in this conversation uses them. This cannot be undone.'}
    </ConfirmDialog>
  )
}
