import { useAction } from '../action.ts'
import { ConfirmDialog } from '../confirm-dialog.tsx'
import { DeleteTemplate } from './template-operations.ts'

type Props = { template: { id: string; name: string }; onClose: () => void; onDeleted: () => void }

export function DeleteTemplateDialog({ template, onClose, onDeleted }: Props) {
  const remove = useAction(DeleteTemplate)
  async function confirm() {
    if (!(await remove.run({ input: { templateId: template.id } }))) return
    onDeleted()
    onClose()
  }
  return (
    <ConfirmDialog
      title={`Delete the template “${template.name}”?`}
      confirm="Delete"
      isBusy={remove.isBusy}
      fault={remove.fault}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      Nobody can begin from it any more. Conversations that did stay as they are.
    </ConfirmDialog>
  )
}
