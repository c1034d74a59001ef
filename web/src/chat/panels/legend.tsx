import type { ReactNode } from 'react'
import styles from './legend.module.css'

/** Says what the colours beside it stand for; each item sets its `--swatch`. */
export const Legend = ({ label, children }: { label: string; children: ReactNode }) => (
  <ul className={styles.legend} aria-label={label}>
    {children}
  </ul>
)
