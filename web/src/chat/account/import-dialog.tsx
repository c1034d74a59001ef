import { ImportFile } from '../panels/transfer/import-file.tsx'
import { Dialog } from '../ui/dialog.tsx'

export const ImportDialog = ({ onClose }: { onClose: () => void }) => (
  <Dialog title="Import conversations" onClose={onClose}>
    <ImportFile onOpen={onClose} />
  </Dialog>
)
