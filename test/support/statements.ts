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

type Submitting = { text?: string; submit(connection: { stream: unknown }): Error | null }

/** The same with each statement of a pipeline by itself, in the order in which they were sent. */
export async function eachStatementOf(work: () => Promise<unknown>): Promise<string[]> {
  const clients = vi.spyOn(pg.Client.prototype, 'query')
  const submitted = vi.spyOn(pg.Query.prototype as unknown as Submitting, 'submit')
  try {
    await work()
    const ofTenants = new Set(
      clients.mock.contexts
        .filter((client) => roleOf(client) === 'parley_app')
        .map((client) => (client as unknown as { connection: { stream: unknown } }).connection.stream),
    )
    return submitted.mock.calls.flatMap(([{ stream }], index) => {
      const { text = '' } = submitted.mock.contexts[index] as Submitting
      return ofTenants.has(stream) && !text.includes('set_config') ? [text] : []
    })
  } finally {
    submitted.mockRestore()
    clients.mockRestore()
  }
}
