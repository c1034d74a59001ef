import { expect } from 'vitest'
import type { Case, Ids } from './tenancy.matrix.ts'

/** A mutation that a service token does for a user, who is somebody else's; others may name nobody else at all. */
export function acting(name: string, input: (ids: Ids, ownSession: string) => object): Case {
  const refusedWith = (code: string) => ({ data: { [name]: expect.objectContaining({ code }) } })
  return {
    operation: `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
      ${name}(input: $input) { __typename ... on Error { code message } } }`,
    variables: (ids, ownSession) => ({ input: { ...input(ids, ownSession), userId: ids.User } }),
    refused: refusedWith('FORBIDDEN'),
    exceptFor: { role: 'SERVICE', refused: refusedWith('NOT_FOUND') },
  }
}
