import { useSyncExternalStore } from 'react'

export type Scheme = 'light' | 'dark'

const key = 'parley:scheme'
const system = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()

const chosen = () => document.documentElement.dataset.scheme as Scheme | undefined
const current = (): Scheme => chosen() ?? (system.matches ? 'dark' : 'light')

/** Takes up what was chosen on an earlier visit; without a choice the system's scheme holds. */
export function restoreScheme() {
  const stored = localStorage.getItem(key)
  if (stored === 'light' || stored === 'dark') document.documentElement.dataset.scheme = stored
}

export function chooseScheme(scheme: Scheme) {
  document.documentElement.dataset.scheme = scheme
  localStorage.setItem(key, scheme)
  for (const listener of listeners) listener()
}

export const useScheme = () => useSyncExternalStore(subscribe, current)

function subscribe(listener: () => void) {
  listeners.add(listener)
  system.addEventListener('change', listener)
  return () => {
    listeners.delete(listener)
    system.removeEventListener('change', listener)
  }
}
