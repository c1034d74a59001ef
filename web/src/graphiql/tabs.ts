import type { TabsState } from '@graphiql/react'
import { exampleTabs } from './examples.ts'
import { isRecord, type PageStorage, parseJson, readJson } from './storage.ts'

// GraphiQL's own key: it writes its tabs there and restores them from it.
const tabsKey = 'graphiql:tabState'
const filledHeadersKey = 'filledHeaders'
const lastSessionKey = 'lastSession'

/**
 * How GraphiQL opens: the examples on a first visit, the user's own tabs afterwards. The token goes into the
 * headers of every tab, except where the user typed others.
 */
export function initialTabs(storage: PageStorage, token: string | null) {
  const defaultHeaders = token ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2) : ''
  const filledBefore = readFilledHeaders(storage)
  // Several, because another window may still write tabs with the token that it was given.
  storage.setItem(filledHeadersKey, JSON.stringify([defaultHeaders, ...filledBefore].slice(0, 20)))

  const stored = readTabs(storage)
  if (stored) {
    for (const tab of stored.tabs) {
      if (!tab.headers?.trim() || filledBefore.includes(tab.headers)) tab.headers = defaultHeaders
    }
    storage.setItem(tabsKey, JSON.stringify(stored))
  }

  const active = stored?.tabs[stored.activeTabIndex]
  return {
    defaultTabs: exampleTabs,
    defaultHeaders,
    // Without these GraphiQL opens one more tab, with what was typed last in any window.
    initialQuery: active?.query ?? exampleTabs[0].query,
    initialVariables: active ? (active.variables ?? '') : exampleTabs[0].variables,
    initialHeaders: active?.headers ?? defaultHeaders,
  }
}

/**
 * Writes a new session's id into the `sessionId` variable of each tab where it is empty or still that of the
 * session created before; what the user typed stays.
 */
export function fillSessionId(tabs: TabsState['tabs'], sessionId: string, storage: PageStorage) {
  const replaceable: unknown[] = ['', storage.getItem(lastSessionKey)]
  for (const tab of tabs) {
    const variables = parseJson(tab.variables)
    if (isRecord(variables) && replaceable.includes(variables.sessionId)) {
      tab.variables = JSON.stringify({ ...variables, sessionId }, null, 2)
    }
  }
  storage.setItem(lastSessionKey, sessionId)
}

function readFilledHeaders(storage: PageStorage) {
  const stored = readJson(storage, filledHeadersKey)
  return Array.isArray(stored) ? stored.filter((item) => typeof item === 'string') : []
}

function readTabs(storage: PageStorage) {
  const stored = readJson(storage, tabsKey)
  return isRecord(stored) && Array.isArray(stored.tabs) ? (stored as TabsState) : undefined
}
