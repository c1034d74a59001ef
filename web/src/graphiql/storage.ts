/** What GraphiQL and this page keep between visits. */
export type PageStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'length'>

const prefix = 'parley:'
// GraphiQL's own keys: what the user chose in the settings, and two lists of operations that were run.
const persistKey = 'graphiql:shouldPersistHeaders'
const historyKeys = ['graphiql:queries', 'graphiql:favorites']

/** Apart from what another GraphiQL on the same host and port has stored: many development servers use ours. */
export function createPageStorage(storage: Storage, token: string | null) {
  const ownKeys = () => Object.keys(storage).filter((key) => key.startsWith(prefix))
  // A token that a person brought is written to disk only if they ask for it in the settings.
  const keepsHeaders = () => (storage.getItem(prefix + persistKey) ?? String(token !== null)) === 'true'
  const pageStorage: PageStorage = {
    getItem: (key) => storage.getItem(prefix + key),
    setItem: (key, value) => {
      // GraphiQL heeds that setting in its tabs, but not in its history.
      const isLeak = historyKeys.includes(key) && !keepsHeaders()
      storage.setItem(prefix + key, isLeak ? withoutHeaders(value) : value)
    },
    removeItem: (key) => storage.removeItem(prefix + key),
    clear: () => {
      for (const key of ownKeys()) storage.removeItem(key)
    },
    get length() {
      return ownKeys().length
    },
  }
  return { storage: pageStorage, keepsHeaders: keepsHeaders() }
}

const withoutHeaders = (json: string) =>
  JSON.stringify(JSON.parse(json), (key, value) => (key === 'headers' ? undefined : value))

/** The JSON under a key, or undefined where there is none or somebody has broken it. */
export function readJson(storage: PageStorage, key: string): unknown {
  return parseJson(storage.getItem(key))
}

export function parseJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
