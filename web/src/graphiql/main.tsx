import { type PageConfig, storedToken, storeToken } from '../chat/identity.ts'
import { refusalOf } from './refusal.ts'

const root = document.getElementById('root')
if (!root) throw new Error('graphiql.html has no #root')

const { endpoint, token } = await loadConfig()
const brought = token ? null : storedToken()
const refusal = brought ? await refusalOf(brought, endpoint) : null
if (refusal) storeToken(null)

// The editor, which begins by asking for the schema, is not even loaded before somebody has signed in.
if (token || (brought && !refusal)) {
  const { showEditor } = await import('./editor.tsx')
  showEditor(root, { endpoint, developmentToken: token, token: brought })
} else {
  const { showSignIn } = await import('./sign-in-page.tsx')
  showSignIn(root, refusal)
}

async function loadConfig(): Promise<PageConfig> {
  const response = await fetch('./config.json')
  if (!response.ok) throw new Error(`config.json: ${response.status} ${response.statusText}`)
  return response.json()
}
