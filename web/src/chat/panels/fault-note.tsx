import { type Fault, isAt } from './action.ts'
import styles from './fault-note.module.css'

/** Why something could not be done; `shownAt` are the inputs that tell their own faults. */
export function FaultNote({ fault, shownAt = [] }: { fault: Fault | null; shownAt?: readonly string[] }) {
  if (!fault) return null
  const others = fault.fields.filter(({ path }) => !shownAt.some((place) => isAt(path, place)))
  return (
    <div className={styles.note} role="alert">
      {fault.fields.length === 0 && <p>{fault.message}</p>}
      {fault.fields.length > 0 && others.length === 0 && <p>Look at the fields that are marked.</p>}
      {others.length > 0 && (
        <ul>
          {others.slice(0, 5).map(({ path, message }) => (
            <li key={path + message}>
              <code>{path}</code> {message}
            </li>
          ))}
          {others.length > 5 && <li>and {others.length - 5} more</li>}
        </ul>
      )}
    </div>
  )
}
