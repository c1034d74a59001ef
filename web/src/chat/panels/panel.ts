import type { ComponentType, ReactNode } from 'react'

/** A view beside the conversation, opened by its icon in the conversation's head or by `?panel=<id>`. */
export type Panel = {
  id: string
  title: string
  icon: ReactNode
  /** Loaded when it is first opened: give a `lazy` component. */
  Panel: ComponentType<{ sessionId: string }>
}
