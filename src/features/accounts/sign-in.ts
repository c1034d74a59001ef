import type { Tokens } from '../../auth/jwt.ts'
import type { Viewer } from '../../auth/viewer.ts'
import { bearerToken } from '../../lib/token-header.ts'
import type { Revocations } from './revocations.ts'
import type { Accounts } from './service.ts'

/** What a token is good for, the same by every door. */
export type SignIn = {
  /** Who it speaks for; fails as `Tokens.verify` does, and with a `RevokedTokenError`. */
  viewer(token: string): Promise<Viewer>
  /** The same of an authorization header; null where there is none. */
  bearer(authorization: string | null): Promise<Viewer | null>
  /** Refuses it from now on, where it has an id; one without ends with its time. */
  end(token: string): Promise<void>
}

type Dependencies = { tokens: Tokens; accounts: Accounts; revocations: Revocations }

export function createSignIn({ tokens, accounts, revocations }: Dependencies): SignIn {
  const viewer = async (token: string) => accounts.signIn(await tokens.verify(token))
  return {
    viewer,
    async bearer(authorization) {
      const token = bearerToken(authorization)
      return token ? viewer(token) : null
    },
    async end(token) {
      const claims = await tokens.verify(token)
      const viewer = await accounts.signIn(claims)
      if (claims.tokenId !== undefined) await revocations.revoke(viewer, { tokenId: claims.tokenId })
    },
  }
}
