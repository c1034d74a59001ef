import { navigate, sessionPath } from '../../route.ts'
import { countOf } from '../numbers.ts'
import styles from './transfer.module.css'

type Props = {
  name: string
  sessions: readonly { id: string; title: string | null; messageCount: number }[]
  messageCount: number
  onOpen: (() => void) | undefined
}

const shownAtOnce = 8

export function ImportResult({ name, sessions, messageCount, onOpen }: Props) {
  return (
    <>
      <p>
        “{name}” brought {countOf(sessions.length, 'conversation')} with {countOf(messageCount, 'message')}.
      </p>
      <ul className={styles.sessions}>
        {sessions.slice(0, shownAtOnce).map(({ id, title, messageCount }) => (
          <li key={id}>
            <a
              href={sessionPath(id)}
              onClick={(event) => {
                event.preventDefault()
                navigate({ sessionId: id })
                onOpen?.()
              }}
            >
              {title ?? 'Untitled'}
            </a>
            <span>{countOf(messageCount, 'message')}</span>
          </li>
        ))}
      </ul>
      {sessions.length > shownAtOnce && <p>The others are in the list of conversations.</p>}
    </>
  )
}
