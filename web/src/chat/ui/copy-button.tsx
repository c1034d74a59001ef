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
      onClick={({ currentTarget }) => {
        copy(text, currentTarget).then(setDone, () => setDone(false))
      }}
    />
  )
}

/** Whether it was copied. */
async function copy(text: string, button: HTMLElement): Promise<boolean> {
  // Missing on pages that were not loaded over HTTPS, but for this machine's own.
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true)
  const field = document.createElement('textarea')
  field.value = text
  field.style.position = 'fixed'
  field.style.opacity = '0'
  // Beside the button: the rest of the page cannot be selected while a dialog is open.
  button.after(field)
  field.select()
  const isCopied = document.execCommand('copy')
  field.remove()
  button.focus()
  return isCopied
}
