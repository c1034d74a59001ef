import { z } from 'zod'
import type { Config } from '../../config.ts'
import { jsonValue, text } from '../../lib/checks.ts'

export const memoryKey = text({ min: 1, max: 255 })

/** What a memory may be; a model's is held to the same as a client's. */
export function createMemoryCheck({ valueMaxBytes }: Config['memory']) {
  return z.object({
    key: memoryKey,
    value: jsonValue({ maxBytes: valueMaxBytes }),
    expiresAt: z
      .date()
      .refine((date) => date.getTime() > Date.now(), 'is not in the future')
      .refine((date) => date.getUTCFullYear() <= 9999, 'is after the year 9999')
      .nullish(),
  })
}
