/** What a person can do with a message; the same object as long as nothing of it changes. */
export type MessageActions = {
  /** Whether the viewer's role lets it write here. */
  canWrite: boolean
  /** Opens the text of a message for editing; null closes it. */
  startEdit(messageId: string | null): void
  edit(messageId: string, content: string): void
  regenerate(messageId: string): void
  fork(messageId: string): void
}
