import { createParley, type Parley, type ParleyError, type ParleyOptions } from '@parley/client'
import { expect } from 'vitest'
import type { TestApp } from './app.ts'
import { atEndOfFile } from './at-end.ts'

/** The client library as this user; closed when the file's tests are over. */
export function openClient(app: TestApp, options: Partial<ParleyOptions> = {}): Parley {
  const client = createParley({ url: `${app.url}/graphql`, token: app.token(), ...options })
  atEndOfFile(() => client.close())
  return client
}

/** What it fails with; fails the test where it does not. */
export const failureOf = (promise: Promise<unknown>): Promise<ParleyError> =>
  promise.then(
    () => expect.fail('It did not fail.'),
    (error) => error,
  )

export async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}
