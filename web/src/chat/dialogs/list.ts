import { lazy } from 'react'
import { icons } from '../ui/icons.tsx'
import type { SessionDialog } from './session-dialog.ts'

/** The dialogs of a session in the order of the menu. */
export const sessionDialogs: readonly SessionDialog[] = [
  {
    id: 'rename',
    label: 'Rename…',
    icon: icons.edit,
    Dialog: lazy(async () => ({ default: (await import('./rename-dialog.tsx')).RenameDialog })),
  },
  {
    id: 'delete',
    label: 'Delete…',
    icon: icons.trash,
    Dialog: lazy(async () => ({ default: (await import('./delete-dialog.tsx')).DeleteDialog })),
  },
]
