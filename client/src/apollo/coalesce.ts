/**
 * One reading at a time: what asks for another while one is under way gets one more after it, however often it asked, and
 * waits for that. `take` gets what was read, and whether another reading was asked for meanwhile. A failure is not told; the
 * next asker tries anew.
 */
export function coalesced<Value>(
  read: () => Promise<Value>,
  take: (value: Value, isStale: boolean) => void = () => {},
): () => Promise<void> {
  let isStale = false
  let reading: Promise<void> | null = null

  async function readUntilFresh() {
    try {
      while (isStale) {
        isStale = false
        await read().then(
          (value) => take(value, isStale),
          () => {},
        )
      }
    } finally {
      reading = null
    }
  }

  return () => {
    isStale = true
    reading ??= readUntilFresh()
    return reading
  }
}
