import { type ComponentType, lazy, type ReactNode } from 'react'
import { icons } from '../ui/icons.tsx'

/** Something that concerns all conversations of the viewer, in the menu of the account. */
export type AccountDialog = {
  id: string
  label: string
  icon: ReactNode
  Dialog: ComponentType<{ onClose: () => void }>
}

export const accountDialogs: readonly AccountDialog[] = [
  {
    id: 'import',
    label: 'Import conversations…',
    icon: icons.transfer,
    Dialog: lazy(async () => ({ default: (await import('./import-dialog.tsx')).ImportDialog })),
  },
  {
    id: 'usage',
    label: 'Usage and cost…',
    icon: icons.chart,
    Dialog: lazy(async () => ({ default: (await import('./usage-dialog.tsx')).UsageDialog })),
  },
  {
    id: 'deleted',
    label: 'Deleted conversations…',
    icon: icons.trash,
    Dialog: lazy(async () => ({ default: (await import('./deleted-dialog.tsx')).DeletedDialog })),
  },
]
