import type { ComponentType, ReactNode } from 'react'

/** Something to do with a session, in the menu of the conversation and of its row in the sidebar. */
export type SessionDialog = {
  id: string
  /** As the menu names it, such as "Rename…". */
  label: string
  icon: ReactNode
  /** Draws a `Dialog`. Loaded when it is first opened: give a `lazy` component. */
  Dialog: ComponentType<{ sessionId: string; onClose: () => void }>
}
