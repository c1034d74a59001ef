import { useAction } from '../action.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { DeleteDocument } from './operations.ts'

type Props = { document: { id: string; title: string }; onClose: () => void; onDeleted: () => void }

export function DeleteDocumentDialog({ document, onClose, onDeleted }: Props) {
  const remove = useAction(DeleteDocument)
  async function confirm() {
    if (!(await remove.run({ input: { documentId: document.id } }))) return
    onDeleted()
    onClose()
  }
  return (
    <ConfirmDialog
      title={`Delete “${document.title}”?`}
      confirm="Delete for good"
      isBusy={remove.isBusy}
      fault={remove.fault}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      It is erased with everything that was indexed of it, from all conversations that use it and from the
      citations of their replies. This cannot be undone.
    </ConfirmDialog>
  )
}
