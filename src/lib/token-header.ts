/** The token of an authorization header, which may also be the token alone; empty where there is none. */
export const bearerToken = (authorization: string | null | undefined): string =>
  authorization?.replace(/^bearer\s+/i, '') ?? ''
