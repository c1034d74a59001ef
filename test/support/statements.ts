import pg from 'pg'
import { vi } from 'vitest'

/** The role that a connection was opened with. */
const roleOf = (client: unknown) =>
  /role=(\w+)/.exec(
    (client as { connectionParameters: { options?: string } }).connectionParameters.options ?? '',
  )?.[1]

/**
 * The texts of what is asked of the database for tenants while `work` goes on; background work, which goes on meanwhile,
 * is over connections of other roles.
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const sent = vi.spyOn(pg.Client.prototype, 'query')
  try {
    await work()
    return sent.mock.calls
      .filter((_, index) => roleOf(sent.mock.contexts[index]) === 'parley_app')
      .map(([asked]) => (asked as { text?: string }).text ?? String(asked))
      .filter((text) => !text.includes('set_config'))
  } finally {
    sent.mockRestore()
  }
}
