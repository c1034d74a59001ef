/** What GraphiQL and this page keep between visits. */
export type PageStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'length'>

const prefix = 'parley:'

/** Apart from what another GraphiQL on the same host and port has stored: many development servers use ours. */
export function createPageStorage(storage: Storage): PageStorage {
  const ownKeys = () => Object.keys(storage).filter((key) => key.startsWith(prefix))
  return {
    getItem: (key) => storage.getItem(prefix + key),
    setItem: (key, value) => storage.setItem(prefix + key, value),
    removeItem: (key) => storage.removeItem(prefix + key),
    clear: () => {
      for (const key of ownKeys()) storage.removeItem(key)
    },
    get length() {
      return ownKeys().length
    },
  }
}

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
