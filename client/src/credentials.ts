import { ParleyError } from './errors.ts'

/**
 * A token, or what gives one: called when there is none yet, and again whenever the server refuses the last one. Null where
 * the browser has a cookie of the server's sign-in, which no script sees.
 */
export type TokenSource = string | (() => string | Promise<string>) | null

export type Credentials = {
  /** The token in use; null goes by the cookie. Those who ask at the same time share one call of the provider. */
  token(): Promise<string | null>
  /** The server takes this one. */
  accept(token: string | null): void
  /** The server refused this one; tells whether another one can be had. */
  refuse(token: string | null): boolean
  /** The provider is asked again the next time: the token may have run out. */
  forget(): void
}

export function createCredentials(source: TokenSource): Credentials {
  if (typeof source !== 'function')
    return { token: async () => source, accept() {}, refuse: () => false, forget() {} }
  return createProvided(source)
}

function createProvided(provide: () => string | Promise<string>): Credentials {
  let asked: Promise<string> | null = null
  let accepted: string | null = null
  let refused: string | null = null

  const ask = async () => {
    const token = await provide()
    if (token !== refused) return token
    // A provider whose clock is behind has the new one a little later; one that never had a good one has none.
    const isTransient = token === accepted
    const message = 'The server refused the token, and the provider gave the same again.'
    throw new ParleyError('UNAUTHENTICATED', message, { isTransient })
  }

  return {
    token() {
      asked ??= ask().catch((error) => {
        asked = null
        if (error instanceof ParleyError) throw error
        const message = 'The token provider failed.'
        throw new ParleyError('UNAUTHENTICATED', message, { isTransient: true, cause: error })
      })
      return asked
    },
    accept(token) {
      accepted = token
    },
    refuse(token) {
      // Somebody else may have seen the refusal first, and have asked for a new one by now.
      if (token !== refused) asked = null
      refused = token
      return true
    },
    forget() {
      asked = null
    },
  }
}
