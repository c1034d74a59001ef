import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** Pixels from the end within which a person counts as reading the end. */
const nearEnd = 48

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
    const listen = () => {
      const distance = view.scrollHeight - view.scrollTop - view.clientHeight
      // Growth alone does not move the top: only a person scrolls up.
      if (view.scrollTop < lastTop - 1 && distance > nearEnd) isFollowing.current = false
      else if (distance <= nearEnd) isFollowing.current = true
      lastTop = view.scrollTop
      setAtEnd(distance <= nearEnd || isFollowing.current)
    }
    const observer = new ResizeObserver(() => {
      if (isFollowing.current) view.scrollTop = view.scrollHeight
      before.current.height = view.scrollHeight
      lastTop = view.scrollTop
    })
    observer.observe(inner)
    observer.observe(view)
    view.addEventListener('scroll', listen, { passive: true })
    return () => {
      observer.disconnect()
      view.removeEventListener('scroll', listen)
    }
  }, [])

  return { scroller, content, isAtEnd, scrollToEnd }
}
