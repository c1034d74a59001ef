import styles from '../../ui/select.module.css'
import { type Role, roles } from './roles.ts'

type Props = { label: string; role: Role; isDisabled?: boolean; onChange: (role: Role) => void }

export const RoleSelect = ({ label, role, isDisabled = false, onChange }: Props) => (
  <select
    className={styles.select}
    aria-label={label}
    value={role}
    disabled={isDisabled}
    onChange={({ target }) => onChange(target.value as Role)}
  >
    {roles.map(({ role, name }) => (
      <option key={role} value={role}>
        {name}
      </option>
    ))}
  </select>
)
