import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** Pixels from the end within which a person counts as reading the end. */
const nearEnd = 48
/** Milliseconds after a wheel, touch or key within which a scroll is taken for its effect. */
const effectMs = 1_000
const inputs = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const

type FollowScroll = {
  scroller: RefObject<HTMLDivElement | null>
  content: RefObject<HTMLDivElement | null>
  /** False once the person has scrolled away from the end. */
  isAtEnd: boolean
  scrollToEnd(): void
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
  const before = useRef({ firstKey, height: 0 })

  const scrollToEnd = useCallback(() => {
    isFollowing.current = true
    setAtEnd(true)
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight })
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
    let lastHeight = view.scrollHeight
    let inputAtMs = Number.NEGATIVE_INFINITY
    const noteInput = () => {
      inputAtMs = performance.now()
    }
    const listen = () => {
      const distance = view.scrollHeight - view.scrollTop - view.clientHeight
      // The browser moves the top by itself where content shrinks, as when a message takes the place of its draft.
      const isByPerson = view.scrollHeight === lastHeight || performance.now() - inputAtMs < effectMs
      if (view.scrollTop < lastTop - 1 && distance > nearEnd && isByPerson) isFollowing.current = false
      else if (distance <= nearEnd) isFollowing.current = true
      lastTop = view.scrollTop
      lastHeight = view.scrollHeight
      setAtEnd(distance <= nearEnd || isFollowing.current)
    }
    const observer = new ResizeObserver(() => {
      if (isFollowing.current) view.scrollTop = view.scrollHeight
      before.current.height = view.scrollHeight
      lastTop = view.scrollTop
      lastHeight = view.scrollHeight
    })
    observer.observe(inner)
    observer.observe(view)
    view.addEventListener('scroll', listen, { passive: true })
    for (const input of inputs) view.addEventListener(input, noteInput, { passive: true })
    return () => {
      observer.disconnect()
      view.removeEventListener('scroll', listen)
      for (const input of inputs) view.removeEventListener(input, noteInput)
    }
  }, [])

  return { scroller, content, isAtEnd, scrollToEnd }
}
