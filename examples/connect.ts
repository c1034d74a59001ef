import { createParley, type Parley } from '@parley/client'

/** PARLEY_URL and PARLEY_TOKEN; by default the server of this machine, and the token that it has for development. */
export async function connect(): Promise<Parley> {
  const { PARLEY_URL = 'http://127.0.0.1:4000', PARLEY_TOKEN } = process.env
  const token = PARLEY_TOKEN ?? (await developmentToken(PARLEY_URL))
  return createParley({ url: `${PARLEY_URL}/graphql`, token })
}

async function developmentToken(url: string): Promise<string> {
  const response = await fetch(`${url}/config.json`)
  const { token } = (await response.json()) as { token: string | null }
  if (!token) throw new Error('Set PARLEY_TOKEN: this server gives no token for development.')
  return token
}
