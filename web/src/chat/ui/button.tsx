import type { ButtonHTMLAttributes, ReactNode } from 'react'
import styles from './button.module.css'

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  /** `plain` by default; one `primary` to a view. */
  look?: 'plain' | 'primary' | 'quiet' | 'danger'
  size?: 'small' | 'medium'
}

export function Button({ look = 'plain', size = 'medium', className, ...props }: ButtonProps) {
  const classes = [
    styles.button,
    look !== 'plain' && styles[look],
    size === 'small' && styles.small,
    className,
  ]
  return <button type="button" {...props} className={classes.filter(Boolean).join(' ')} />
}

/** A button that shows an icon alone; its label is its name and its tooltip. */
export function IconButton({
  label,
  icon,
  className,
  ...props
}: ButtonProps & { label: string; icon: ReactNode }) {
  return (
    <Button
      look="quiet"
      {...props}
      className={[styles.icon, className].filter(Boolean).join(' ')}
      aria-label={label}
      title={label}
    >
      {icon}
    </Button>
  )
}
