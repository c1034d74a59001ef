import type { SessionDialog } from './session-dialog.ts'

/** The dialogs of a session in the order of the menu. */
export const sessionDialogs: readonly SessionDialog[] = []
