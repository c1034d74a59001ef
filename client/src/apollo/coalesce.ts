/**
 * One reading at a time: what asks for another while one is under way gets one more after it, however often it asked. A
 * failure is not told; the next asker tries anew.
 */
export function coalesced(read: () => Promise<unknown>): () => Promise<void> {
  let isReading = false
  let isStale = false
  return async () => {
    isStale = true
    if (isReading) return
    isReading = true
    while (isStale) {
      isStale = false
      await read().catch(() => {})
    }
    isReading = false
  }
}
