import { pathTo } from './route.ts'

/** What the server tells the page; `token` is there in development only. */
export type PageConfig = { endpoint: string; token: string | null }

const key = 'parley:token'

export async function loadConfig(): Promise<PageConfig> {
  const response = await fetch(pathTo('config.json'))
  if (!response.ok) throw new Error(`config.json: ${response.status} ${response.statusText}`)
  return response.json()
}

/** The token that a person brought; kept as long as the tab is open, and never written to disk. */
export const storedToken = () => sessionStorage.getItem(key)

export function storeToken(token: string | null) {
  if (token) sessionStorage.setItem(key, token)
  else sessionStorage.removeItem(key)
}

/** Why a text cannot be a token that is good now, or null; whether the server takes it is for the server to say. */
export function tokenFault(token: string): string | null {
  const [, payload] = token.split('.')
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) || !payload)
    return 'This is not a token: it has three parts with dots between them.'
  try {
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))
    if (typeof exp === 'number' && exp * 1_000 < Date.now())
      return `This token has expired, on ${new Date(exp * 1_000).toLocaleString()}.`
    return null
  } catch {
    return 'This is not a token: its middle part cannot be read.'
  }
}
