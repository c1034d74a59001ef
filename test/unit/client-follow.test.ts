import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ParleyError } from '../../client/src/errors.ts'
import { createFollow } from '../../client/src/follow.ts'
import { createStatusBoard } from '../../client/src/status.ts'
import type { Transport } from '../../client/src/transport.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Follows what has nothing to tell and whose token runs out after so long, until it throws or was opened so often. */
async function follow({ openMs, opensAtMost }: { openMs: number; opensAtMost: number }) {
  let opened = 0
  const ending = new AbortController()
  const transport: Transport = {
    async *open(_request, { onOpen }) {
      opened++
      onOpen()
      await new Promise((resolve) => setTimeout(resolve, openMs))
      if (opened === opensAtMost) ending.abort()
      throw new ParleyError('UNAUTHENTICATED', 'The token has expired.', { isTransient: true })
    },
    terminate() {},
    close() {},
  }
  const values = createFollow({ transport, status: createStatusBoard() })('', () => ({}), ending.signal)
  const end = values.next().catch(() => {})
  await vi.advanceTimersByTimeAsync(opensAtMost * (openMs + 10_000))
  await end
  return opened
}

it('goes on over any number of tokens that ran out, though nothing happens meanwhile', async () => {
  expect(await follow({ openMs: 15 * 60_000, opensAtMost: 25 })).toBe(25)
})

it('gives up where each token is refused soon after it was taken', async () => {
  expect(await follow({ openMs: 100, opensAtMost: 25 })).toBe(10)
})
