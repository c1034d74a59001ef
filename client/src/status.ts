import type { ParleyError } from './errors.ts'

/**
 * How the live operations do, all in all: `idle` without any, `connecting` at first, `connected`, or `reconnecting` while
 * one of them is cut off, with what cut it off.
 */
export type Status =
  | { readonly state: 'idle' | 'connecting' | 'connected' }
  | { readonly state: 'reconnecting'; readonly error: ParleyError }

export type StatusBoard = {
  current(): Status
  /** Calls back on every change; gives the function that ends it. */
  onChange(listener: (status: Status) => void): () => void
  /** One live operation, from its start to its end. */
  enter(): { connected(): void; lost(error: ParleyError): void; leave(): void }
}

const idle: Status = { state: 'idle' }
const connecting: Status = { state: 'connecting' }
const connected: Status = { state: 'connected' }

export function createStatusBoard(): StatusBoard {
  const operations = new Map<symbol, Status>()
  const listeners = new Set<(status: Status) => void>()
  let current = idle

  const settle = () => {
    const all = [...operations.values()]
    const next =
      all.find(({ state }) => state === 'reconnecting') ??
      all.find(({ state }) => state === 'connecting') ??
      all[0] ??
      idle
    if (next === current) return
    current = next
    for (const listener of [...listeners]) listener(next)
  }

  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    enter() {
      const key = Symbol()
      const set = (status: Status) => {
        operations.set(key, status)
        settle()
      }
      set(connecting)
      return {
        connected: () => set(connected),
        lost: (error) => set({ state: 'reconnecting', error }),
        leave() {
          operations.delete(key)
          settle()
        },
      }
    },
  }
}
