import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** Pixels from the end within which a person counts as reading the end. */
const nearEnd = 48
/** Milliseconds after a wheel, touch or key within which a scroll is taken for its effect. */
const effectMs = 1_000
const inputs = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const
/** Milliseconds after a change of the content within which a scroll that nobody asked for is taken for the browser's. */
const settledMs = 100

type FollowScroll = {
  scroller: RefObject<HTMLDivElement | null>
  content: RefObject<HTMLDivElement | null>
  /** False once the person has scrolled away from the end. */
  isAtEnd: boolean
  scrollToEnd(): void
  /** Shows this part of the content, and stays there. */
  scrollTo(part: Element): void
}

/**
 * A view that stays at its end while its content grows, until the person scrolls away; and that stands still when
 * something comes in above, which `firstKey` tells.
 */
export function useFollowScroll(firstKey: string | undefined): FollowScroll {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const [isAtEnd, setAtEnd] = useState(true)
  const isFollowing = useRef(true)
  const inputAtMs = useRef(Number.NEGATIVE_INFINITY)
  const before = useRef({ firstKey, height: 0 })

  const scrollToEnd = useCallback(() => {
    isFollowing.current = true
    inputAtMs.current = Number.NEGATIVE_INFINITY
    setAtEnd(true)
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight })
  }, [])

  const scrollTo = useCallback((part: Element) => {
    isFollowing.current = false
    part.scrollIntoView({ block: 'center' })
  }, [])

  useLayoutEffect(() => {
    const view = scroller.current
    if (!view) return
    const { firstKey: known, height } = before.current
    if (known !== undefined && firstKey !== known && !isFollowing.current)
      view.scrollTop += view.scrollHeight - height
    before.current = { firstKey, height: view.scrollHeight }
  }, [firstKey])

  useEffect(() => {
    const view = scroller.current
    const inner = content.current
    if (!view || !inner) return
    let lastTop = view.scrollTop
    let changedAtMs = Number.NEGATIVE_INFINITY
    const noteInput = () => {
      inputAtMs.current = performance.now()
    }
    const toEnd = () => {
      view.scrollTop = view.scrollHeight
    }
    // The browser moves the top by itself where content shrinks, as when a message takes the place of its draft, and what
    // comes in its place may be as high again, so that heights tell nothing.
    const isByPerson = () => {
      const nowMs = performance.now()
      return nowMs - inputAtMs.current < effectMs || nowMs - changedAtMs > settledMs
    }
    const listen = () => {
      const distance = view.scrollHeight - view.scrollTop - view.clientHeight
      if (distance <= nearEnd) isFollowing.current = true
      else if (view.scrollTop < lastTop - 1 && isByPerson()) isFollowing.current = false
      else if (isFollowing.current) toEnd()
      lastTop = view.scrollTop
      setAtEnd(distance <= nearEnd || isFollowing.current)
    }
    const observer = new ResizeObserver(() => {
      if (isFollowing.current) toEnd()
      before.current.height = view.scrollHeight
      lastTop = view.scrollTop
    })
    const changes = new MutationObserver(() => {
      changedAtMs = performance.now()
    })
    changes.observe(inner, { childList: true, subtree: true, characterData: true })
    observer.observe(inner)
    observer.observe(view)
    view.addEventListener('scroll', listen, { passive: true })
    for (const input of inputs) view.addEventListener(input, noteInput, { passive: true })
    return () => {
      observer.disconnect()
      changes.disconnect()
      view.removeEventListener('scroll', listen)
      for (const input of inputs) view.removeEventListener(input, noteInput)
    }
  }, [])

  return { scroller, content, isAtEnd, scrollToEnd, scrollTo }
}
