import type { ReactNode } from 'react'
import styles from './empty-state.module.css'

type EmptyStateProps = {
  icon: ReactNode
  title: string
  /** What could be here, and how it comes. */
  text: string
  /** Buttons. */
  children?: ReactNode
}

/** Stands where a list or a view has nothing to show, and for what could not be loaded. */
export function EmptyState({ icon, title, text, children }: EmptyStateProps) {
  return (
    <div className={styles.empty}>
      <span className={styles.icon}>{icon}</span>
      <h2 className={styles.title}>{title}</h2>
      <p className={styles.text}>{text}</p>
      {children && <div className={styles.actions}>{children}</div>}
    </div>
  )
}
