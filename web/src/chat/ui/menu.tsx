import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from 'react'
import { IconButton } from './button.tsx'
import { icons } from './icons.tsx'
import styles from './menu.module.css'

export type MenuItem = {
  label: string
  icon?: ReactNode
  isDangerous?: boolean
  onSelect: () => void
}

/** A button that opens a list of actions; arrow keys move in it, Escape closes it. */
export function Menu({
  label,
  icon = icons.more,
  items,
}: {
  label: string
  icon?: ReactNode
  items: MenuItem[]
}) {
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLDivElement>(null)
  const [isOpen, setOpen] = useState(false)

  // Once the items are there: only then is it known how much room they take.
  useLayoutEffect(() => {
    const element = list.current
    const anchor = button.current?.getBoundingClientRect()
    if (!isOpen || !element || !anchor) return
    const { width, height } = element.getBoundingClientRect()
    const below = anchor.bottom + 4
    element.style.left = `${Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8))}px`
    element.style.top = `${below + height > innerHeight - 8 ? anchor.top - height - 4 : below}px`
    element.querySelector('button')?.focus()
  }, [isOpen])

  function move(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    const all = [...(list.current?.querySelectorAll('button') ?? [])]
    const at = all.indexOf(document.activeElement as HTMLButtonElement)
    all.at((at + step) % all.length)?.focus()
  }

  return (
    <div ref={button} className={styles.menu}>
      <IconButton
        label={label}
        icon={icon}
        size="small"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        popoverTarget={id}
      />
      <div
        ref={list}
        id={id}
        popover="auto"
        role="menu"
        tabIndex={-1}
        aria-label={label}
        className={styles.items}
        onKeyDown={move}
        onToggle={({ newState }) => setOpen(newState === 'open')}
      >
        {isOpen &&
          items.map(({ label, icon, isDangerous, onSelect }) => (
            <button
              key={label}
              type="button"
              role="menuitem"
              className={isDangerous ? `${styles.item} ${styles.danger}` : styles.item}
              onClick={() => {
                list.current?.hidePopover()
                onSelect()
              }}
            >
              {icon}
              {label}
            </button>
          ))}
      </div>
    </div>
  )
}
