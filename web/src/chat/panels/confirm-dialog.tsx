import type { ReactNode } from 'react'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import type { Fault } from './action.ts'
import styles from './confirm-dialog.module.css'
import { FaultNote } from './fault-note.tsx'
import { Actions } from './section.tsx'

type Props = {
  title: string
  /** What the button says that does it. */
  confirm: string
  isBusy: boolean
  fault: Fault | null
  onConfirm: () => void
  onClose: () => void
  children: ReactNode
}

/** Asks once more before something that cannot be undone. */
export function ConfirmDialog({ title, confirm, isBusy, fault, onConfirm, onClose, children }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className={styles.body}>
        <p>{children}</p>
        <FaultNote fault={fault} />
        <Actions>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" disabled={isBusy} onClick={onConfirm}>
            {confirm}
          </Button>
        </Actions>
      </div>
    </Dialog>
  )
}
