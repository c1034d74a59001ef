import { useEffect, useState } from 'react'
import { IconButton } from './button.tsx'
import { icons } from './icons.tsx'

/** Milliseconds for which it says that it has copied. */
const doneForMs = 1_500

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false)
  useEffect(() => {
    if (!isDone) return
    const timer = setTimeout(() => setDone(false), doneForMs)
    return () => clearTimeout(timer)
  }, [isDone])
  return (
    <IconButton
      label={isDone ? 'Copied' : label}
      icon={isDone ? icons.check : icons.copy}
      size="small"
      onClick={() => {
        // It is refused on pages that were not loaded over HTTPS, but for this machine's own.
        navigator.clipboard?.writeText(text).then(
          () => setDone(true),
          () => {},
        )
      }}
    />
  )
}
