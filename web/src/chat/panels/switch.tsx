import styles from './switch.module.css'

type Props = { label: string; isOn: boolean; isDisabled?: boolean; onChange: (isOn: boolean) => void }

/** On or off at once, without a form to be saved. */
export const Switch = ({ label, isOn, isDisabled = false, onChange }: Props) => (
  <input
    type="checkbox"
    role="switch"
    className={styles.switch}
    aria-label={label}
    title={label}
    checked={isOn}
    aria-checked={isOn}
    disabled={isDisabled}
    onChange={({ target }) => onChange(target.checked)}
  />
)
