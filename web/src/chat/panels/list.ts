import type { Panel } from './panel.ts'

/** The panels in the order of their icons. */
export const panels: readonly Panel[] = []
