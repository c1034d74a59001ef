import { useEffect, useState } from 'react'

/** Milliseconds without a change: a short pause in typing. */
const settlingMs = 250

/** A value that is being typed, as it was at the last pause. */
export function useSettled(value: string): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), settlingMs)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}
