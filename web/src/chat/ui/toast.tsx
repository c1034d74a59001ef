import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
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

/** Gives the function that shows a note for some seconds, where it covers nothing that is read. */
export const useToast = () => useContext(ToastContext)

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Shown[]>([])
  const lastId = useRef(0)
  const drop = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), [])
  const show = useCallback((toast: Toast) => {
    const id = ++lastId.current
    setToasts((all) => [...all.slice(-2), { ...toast, id }])
  }, [])
  const list = useMemo(
    () => (
      <div className={styles.toasts} role="status">
        {toasts.map((toast) => (
          <Note key={toast.id} toast={toast} onEnd={() => drop(toast.id)} />
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

/** It does not go while somebody points at it or has the focus in it. */
function Note({ toast: { text, action }, onEnd }: { toast: Toast; onEnd: () => void }) {
  const [isHeld, setHeld] = useState(false)
  const end = useRef(onEnd)
  useEffect(() => {
    end.current = onEnd
  })
  useEffect(() => {
    if (isHeld) return
    const timer = setTimeout(() => end.current(), shownMs)
    return () => clearTimeout(timer)
  }, [isHeld])
  const hold = () => setHeld(true)
  const release = () => setHeld(false)
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: nothing to press, but a place to be at
    <div
      className={styles.toast}
      onPointerEnter={hold}
      onPointerLeave={release}
      onFocus={hold}
      onBlur={release}
    >
      <span className={styles.text}>{text}</span>
      <button
        type="button"
        className={styles.action}
        onClick={() => {
          onEnd()
          action?.onSelect()
        }}
      >
        {action?.label ?? 'Dismiss'}
      </button>
    </div>
  )
}
