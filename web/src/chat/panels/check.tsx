import type { ReactNode } from 'react'
import styles from './check.module.css'

type Props = {
  isOn: boolean
  isDisabled: boolean
  onChange: (isOn: boolean) => void
  /** Stands under the label. */
  hint?: string
  children: ReactNode
}

export const Check = ({ isOn, isDisabled, onChange, hint, children }: Props) => (
  <label className={styles.check}>
    <input
      type="checkbox"
      checked={isOn}
      disabled={isDisabled}
      onChange={({ target }) => onChange(target.checked)}
    />
    <span>
      {children}
      {hint && <small>{hint}</small>}
    </span>
  </label>
)
