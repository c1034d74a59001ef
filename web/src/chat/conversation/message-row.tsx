import type { SessionMessage, SessionRun } from '@parley/client/apollo'
import { memo } from 'react'
import { AssistantMessage } from './assistant-message.tsx'
import styles from './message.module.css'
import type { MessageActions } from './message-actions.ts'
import { UserMessage } from './user-message.tsx'

type MessageRowProps = {
  message: SessionMessage
  results: readonly SessionMessage[]
  waitingRun: SessionRun | null
  viewerId: string | undefined
  isEditing: boolean
  /** A link or a search led to it. */
  isPointedOut: boolean
  actions: MessageActions
}

/** One message; drawn anew only when something of it changes. */
export const MessageRow = memo(function MessageRow(props: MessageRowProps) {
  const { message, results, waitingRun, viewerId, isEditing, isPointedOut, actions } = props
  const isUser = message.role === 'USER'
  const isFromOther = isUser && message.author != null && message.author.id !== viewerId
  const classes = [
    styles.row,
    isUser && styles.user,
    isFromOther && styles.fromOther,
    isPointedOut && styles.shown,
  ]
  return (
    <article
      id={message.id}
      className={classes.filter(Boolean).join(' ')}
      aria-label={isUser ? 'Message' : 'Reply'}
      tabIndex={-1}
    >
      <div className={styles.inner}>
        {isUser ? (
          <UserMessage {...{ message, viewerId, isEditing, actions }} />
        ) : (
          <AssistantMessage {...{ message, results, waitingRun, actions }} />
        )}
      </div>
    </article>
  )
})
