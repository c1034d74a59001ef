import { type RefObject, useEffect } from 'react'

/** Takes the focus to what has opened, and back to where it was once that has closed, unless it has gone elsewhere. */
export function useFocus(isOpen: boolean, opened: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = opened.current
    if (!isOpen || !element) return
    const before = document.activeElement
    element.focus()
    return () => {
      const now = document.activeElement
      const isLost = now === null || now === document.body || element.contains(now)
      if (isLost && before instanceof HTMLElement) before.focus()
    }
  }, [isOpen, opened])
}
