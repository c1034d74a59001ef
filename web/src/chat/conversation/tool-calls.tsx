import type { SessionMessage, SessionRun } from '@parley/client/apollo'
import { icons } from '../ui/icons.tsx'
import { ToolAnswers } from './tool-answers.tsx'
import styles from './tool-calls.module.css'

type ToolCallsProps = {
  calls: SessionMessage['toolCalls']
  results: readonly SessionMessage[]
  waitingRun: SessionRun | null
}

/** What a reply asked of tools, what they answered, and a form where a person has to answer. */
export function ToolCalls({ calls, results, waitingRun }: ToolCallsProps) {
  const pending =
    waitingRun?.pendingToolCalls.filter((each) => calls.some(({ id }) => id === each.toolCallId)) ?? []
  return (
    <div className={styles.calls}>
      {calls.map(({ id, name, arguments: values }) => {
        const result = results.find(({ toolCallId }) => toolCallId === id)
        const isAwaited = pending.some(({ toolCallId }) => toolCallId === id)
        return (
          <details key={id} className={styles.call}>
            <summary>
              {icons.tool}
              <span className={styles.name}>{name}</span>
              <span className={isAwaited ? `${styles.state} ${styles.awaited}` : styles.state}>
                {result
                  ? 'Answered'
                  : isAwaited
                    ? 'Waits for you'
                    : values === null
                      ? 'Is written…'
                      : 'Called'}
              </span>
            </summary>
            <div className={styles.body}>
              <h4>Arguments</h4>
              <pre>{values === null ? '…' : JSON.stringify(values, null, 2)}</pre>
              {result && (
                <>
                  <h4>Answer</h4>
                  <pre>{result.content}</pre>
                </>
              )}
            </div>
          </details>
        )
      })}
      {waitingRun && pending.length > 0 && (
        <ToolAnswers key={waitingRun.id} runId={waitingRun.id} pending={pending} />
      )}
    </div>
  )
}
