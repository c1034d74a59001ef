/** What was written and not sent, by conversation, as long as the page is open and nobody signs out. */
export const drafts = new Map<string, string>()
