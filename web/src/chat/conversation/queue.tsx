import type { SessionRun } from '@parley/client/apollo'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import styles from './queue.module.css'

type QueueProps = {
  runs: readonly SessionRun[]
  canWrite: boolean
  onCancel: (runId: string) => void
  /** Called with how many shall come before it. */
  onMove: (runId: string, position: number) => void
}

/** Messages that wait until the reply before them has ended, the next one first. */
export function Queue({ runs, canWrite, onCancel, onMove }: QueueProps) {
  if (runs.length === 0) return null
  return (
    <section className={styles.queue} aria-labelledby="queue-title">
      <h2 id="queue-title">Waiting for this reply</h2>
      <ol>
        {runs.map(({ id, userMessage: { content } }, index) => (
          <li key={id}>
            {icons.clock}
            <span>{content}</span>
            {canWrite && (
              <>
                {runs.length > 1 && (
                  <>
                    <IconButton
                      label={`Send earlier: ${content?.slice(0, 60)}`}
                      icon={icons.up}
                      size="small"
                      disabled={index === 0}
                      onClick={() => onMove(id, index - 1)}
                    />
                    <IconButton
                      label={`Send later: ${content?.slice(0, 60)}`}
                      icon={icons.down}
                      size="small"
                      disabled={index === runs.length - 1}
                      onClick={() => onMove(id, index + 1)}
                    />
                  </>
                )}
                <IconButton
                  label={`Do not send: ${content?.slice(0, 60)}`}
                  icon={icons.close}
                  size="small"
                  onClick={() => onCancel(id)}
                />
              </>
            )}
          </li>
        ))}
      </ol>
    </section>
  )
}
