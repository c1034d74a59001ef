import type { ListedSession } from '@parley/client/apollo'
import { type MouseEvent, memo } from 'react'
import { sessionDialogs } from '../dialogs/list.ts'
import { SessionMenu } from '../dialogs/session-menu.tsx'
import { navigate, sessionPath } from '../route.ts'
import { fullTime, shortTime } from '../times.ts'
import styles from './session-list.module.css'

type SessionItemProps = { session: ListedSession; isSelected: boolean; onChoose: () => void }

export const SessionItem = memo(function SessionItem({ session, isSelected, onChoose }: SessionItemProps) {
  const { id, title, viewerUnread, lastMessageAt, createdAt } = session
  const time = lastMessageAt ?? createdAt
  // What is open is being read.
  const unread = isSelected ? 0 : viewerUnread
  const classes = [styles.item, isSelected && styles.selected, unread > 0 && styles.unread]

  function choose(event: MouseEvent) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    navigate({ sessionId: id })
    onChoose()
  }

  return (
    <li className={classes.filter(Boolean).join(' ')}>
      <a
        href={sessionPath(id)}
        className={styles.link}
        aria-current={isSelected ? 'page' : undefined}
        onClick={choose}
      >
        <span className={title ? styles.title : `${styles.title} ${styles.untitled}`}>
          {title ?? 'New conversation'}
        </span>
        {unread > 0 ? (
          <span className={styles.count}>
            {unread > 99 ? '99+' : unread}
            <span className="visually-hidden"> unread</span>
          </span>
        ) : (
          <time className={styles.time} dateTime={time} title={fullTime(time)}>
            {shortTime(time)}
          </time>
        )}
      </a>
      {sessionDialogs.length > 0 && (
        <span className={styles.menu}>
          <SessionMenu sessionId={id} label={`Actions for ${title ?? 'New conversation'}`} />
        </span>
      )}
    </li>
  )
})
