import { type ReactNode, useId } from 'react'
import styles from './section.module.css'

type Props = {
  title: string
  /** Stands at the right of the title. */
  aside?: ReactNode
  children: ReactNode
}

/** A part of a panel under a title of its own. */
export function Section({ title, aside, children }: Props) {
  const id = useId()
  return (
    <section className={styles.section} aria-labelledby={id}>
      <div className={styles.head}>
        <h3 id={id}>{title}</h3>
        {aside}
      </div>
      {children}
    </section>
  )
}

/** Says that there is nothing, and what could be there. */
export const Nothing = ({ children }: { children: ReactNode }) => <p className={styles.nothing}>{children}</p>

/** A sentence that explains. */
export const Note = ({ children }: { children: ReactNode }) => <p className={styles.note}>{children}</p>

/** Buttons at the end of a form or dialog. */
export const Actions = ({ children }: { children: ReactNode }) => (
  <div className={styles.actions}>{children}</div>
)
