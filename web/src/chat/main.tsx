import './styles/tokens.css'
import './styles/base.css'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { loadConfig } from './identity.ts'
import { restoreScheme } from './scheme.ts'

const element = document.getElementById('root')
if (!element) throw new Error('index.html has no #root')

// Beneath /s/ a relative path means another place: a panel would not find the styles that are there, and load them once more
// behind those that go before them.
for (const link of document.querySelectorAll<HTMLLinkElement>('link[rel=stylesheet]'))
  link.setAttribute('href', link.href)

restoreScheme()
const root = createRoot(element)
try {
  root.render(<App config={await loadConfig()} />)
} catch {
  root.render(<App config={null} />)
}
