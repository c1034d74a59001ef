import { useSyncExternalStore } from 'react'

/** What the address says: which session is open, which panel beside it, which message to show. */
export type Route = { sessionId: string | null; panel: string | null; messageId: string | null }

const pathPattern = /^(.*)\/s\/(\w+)$/
// The page may stand behind a proxy that puts a prefix before every path.
const root = location.pathname.match(pathPattern)?.[1] ?? location.pathname.replace(/\/$/, '')
const listeners = new Set<() => void>()
let route = read()

/** Where a file or path of the server is, from whatever address the page has now. */
export const pathTo = (path: string) => `${root}/${path}`

export const sessionPath = (sessionId: string) => pathTo(`s/${sessionId}`)

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, () => route)
}

/** Changes what is given and keeps the rest; another session closes what belonged to the one before. */
export function navigate(change: Partial<Route>, { replace = false } = {}) {
  const isOther = change.sessionId !== undefined && change.sessionId !== route.sessionId
  const next = { ...route, messageId: null, ...(isOther && !change.panel && { panel: null }), ...change }
  const query = new URLSearchParams()
  if (next.panel) query.set('panel', next.panel)
  if (next.messageId) query.set('message', next.messageId)
  const path = next.sessionId ? sessionPath(next.sessionId) : pathTo('')
  const url = query.size > 0 ? `${path}?${query}` : path
  if (replace) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  changed()
}

function read(): Route {
  const query = new URLSearchParams(location.search)
  return {
    sessionId: location.pathname.match(pathPattern)?.[2] ?? null,
    panel: query.get('panel'),
    messageId: query.get('message'),
  }
}

function changed() {
  route = read()
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void) {
  if (listeners.size === 0) addEventListener('popstate', changed)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) removeEventListener('popstate', changed)
  }
}
