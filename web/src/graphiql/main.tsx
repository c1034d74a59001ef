import './workers.ts'
import '@graphiql/react/font/fira-code.css'
import '@graphiql/react/style.css'
import '@graphiql/plugin-doc-explorer/style.css'
import '@graphiql/plugin-history/style.css'
import 'graphiql/graphiql.css'
import './page.css'
import { createRoot } from 'react-dom/client'
import { Page } from './page.tsx'
import { createPageStorage } from './storage.ts'
import { initialTabs } from './tabs.ts'

/** What the server tells the page; `token` is there in development only. */
type PageConfig = { endpoint: string; token: string | null }

const root = document.getElementById('root')
if (!root) throw new Error('graphiql.html has no #root')

const { endpoint, token } = await loadConfig()
const { storage, keepsHeaders } = createPageStorage(localStorage, token)
const tabs = initialTabs(storage, token)
createRoot(root).render(<Page {...{ endpoint, storage, keepsHeaders, tabs }} />)

async function loadConfig(): Promise<PageConfig> {
  const response = await fetch('./config.json')
  if (!response.ok) throw new Error(`config.json: ${response.status} ${response.statusText}`)
  return response.json()
}
