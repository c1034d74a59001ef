/** What was written and not sent, by conversation, as long as the page is open. */
export const drafts = new Map<string, string>()
