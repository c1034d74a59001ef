import type { PendingSend } from '@parley/client/apollo'
import { Button } from '../ui/button.tsx'
import styles from './message.module.css'

type PendingMessageProps = { send: PendingSend; onRetry: () => void; onDiscard: () => void }

/** A message on its way, or one that could not be sent. */
export function PendingMessage({ send: { input, error }, onRetry, onDiscard }: PendingMessageProps) {
  return (
    <article className={`${styles.row} ${styles.user}`} aria-label="Message">
      <div className={styles.inner}>
        <div className={error ? styles.bubble : `${styles.bubble} ${styles.pending}`}>{input.content}</div>
        {error ? (
          <div className={styles.notice} role="alert">
            <span>Not sent. {error.message}</span>
            <Button size="small" onClick={onRetry}>
              Send again
            </Button>
            <Button size="small" look="quiet" onClick={onDiscard}>
              Discard
            </Button>
          </div>
        ) : (
          <div className={styles.actions}>
            <span className={styles.meta}>Sending…</span>
          </div>
        )}
      </div>
    </article>
  )
}
