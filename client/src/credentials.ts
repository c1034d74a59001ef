import { ParleyError } from './errors.ts'

/** A token, or what gives one: called when there is none yet, and again whenever the server refuses the last one. */
export type TokenSource = string | (() => string | Promise<string>)

export type Credentials = {
  /** The token in use. Those who ask at the same time share one call of the provider. */
  token(): Promise<string>
  /** The server refused this one; tells whether another one can be had. */
  refuse(token: string): boolean
  /** The provider is asked again the next time: the token may have run out. */
  forget(): void
}

export function createCredentials(source: TokenSource): Credentials {
  if (typeof source === 'string') return { token: async () => source, refuse: () => false, forget() {} }
  let current: Promise<string> | null = null
  let known: string | null = null
  let refused: string | null = null

  const ask = async () => {
    const token = await source()
    if (token === refused)
      throw new ParleyError('UNAUTHENTICATED', 'The server refused the token, and the provider has no other.')
    known = token
    return token
  }
  return {
    token() {
      current ??= ask().catch((error) => {
        current = null
        if (error instanceof ParleyError) throw error
        const message = 'The token provider failed.'
        throw new ParleyError('UNAUTHENTICATED', message, { isTransient: true, cause: error })
      })
      return current
    },
    refuse(token) {
      // Somebody else may have seen the refusal first, and have a new one by now.
      if (token === known) {
        refused = token
        known = null
        current = null
      }
      return true
    },
    forget() {
      current = null
    },
  }
}
