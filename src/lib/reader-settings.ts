import { z } from 'zod'
import { whole } from './setting-kinds.ts'

/** How long a peer may be silent, and what waits in memory for one that is slow. */
export const readerSettings = z.object({
  WEBSOCKET_PING_SECONDS: whole(20, 1, 3_600),
  SLOW_READER_PAUSE_BYTES: whole(262_144, 16_384),
  SLOW_READER_CLOSE_BYTES: whole(1_048_576, 16_384),
  SLOW_READER_CLOSE_MS: whole(10_000, 1_000, 3_600_000),
})

export const arrangeReaders = (s: z.infer<typeof readerSettings>) => ({
  pauseBytes: s.SLOW_READER_PAUSE_BYTES,
  closeBytes: s.SLOW_READER_CLOSE_BYTES,
  closeMs: s.SLOW_READER_CLOSE_MS,
})
