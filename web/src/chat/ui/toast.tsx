import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from 'react'
import styles from './toast.module.css'

export type Toast = {
  text: string
  /** Such as undoing what the text tells of. */
  action?: { label: string; onSelect: () => void }
}

type Shown = Toast & { id: number }

/** Milliseconds: long enough to read two lines and to reach the button. */
const shownMs = 7_000

const ToastContext = createContext<(toast: Toast) => void>(() => {})

/** Gives the function that shows a note at the top of the page for some seconds. */
export const useToast = () => useContext(ToastContext)

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Shown[]>([])
  const lastId = useRef(0)
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), [])
  const show = useCallback(
    (toast: Toast) => {
      const id = ++lastId.current
      setToasts((all) => [...all.slice(-2), { ...toast, id }])
      setTimeout(() => drop(id), shownMs)
    },
    [drop],
  )
  const list = useMemo(
    () => (
      <div className={styles.toasts} role="status">
        {toasts.map(({ id, text, action }) => (
          <div key={id} className={styles.toast}>
            {text}
            <button
              type="button"
              className={styles.action}
              onClick={() => {
                drop(id)
                action?.onSelect()
              }}
            >
              {action?.label ?? 'Dismiss'}
            </button>
          </div>
        ))}
      </div>
    ),
    [toasts, drop],
  )
  return (
    <ToastContext value={show}>
      {children}
      {list}
    </ToastContext>
  )
}
