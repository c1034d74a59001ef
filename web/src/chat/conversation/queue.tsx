import type { SessionRun } from '@parley/client/apollo'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import styles from './queue.module.css'

type QueueProps = { runs: readonly SessionRun[]; canWrite: boolean; onCancel: (runId: string) => void }

/** Messages that wait until the reply before them has ended. */
export function Queue({ runs, canWrite, onCancel }: QueueProps) {
  if (runs.length === 0) return null
  return (
    <section className={styles.queue} aria-labelledby="queue-title">
      <h2 id="queue-title">Waiting for this reply</h2>
      <ul>
        {runs.map(({ id, userMessage }) => (
          <li key={id}>
            {icons.clock}
            <span>{userMessage.content}</span>
            {canWrite && (
              <IconButton
                label={`Do not send: ${userMessage.content?.slice(0, 60)}`}
                icon={icons.close}
                size="small"
                onClick={() => onCancel(id)}
              />
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}
