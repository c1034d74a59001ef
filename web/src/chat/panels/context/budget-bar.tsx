import { Legend } from '../legend.tsx'
import { inFull } from '../numbers.ts'
import styles from './context.module.css'
import { type Kind, tokensByKind } from './kinds.ts'

type Props = {
  parts: readonly { kind: Kind; tokens: number }[]
  totalTokens: number
  /** The most that may be sent; null where nothing is known of one. */
  limit: number | null
}

/** How much of what may be sent is taken, and by what. */
export function BudgetBar({ parts, totalTokens, limit }: Props) {
  const shares = tokensByKind(parts)
  const whole = Math.max(limit ?? totalTokens, totalTokens, 1)
  const used = limit === null ? '' : ` of ${inFull(limit)}`
  const percent = limit === null ? null : Math.round((totalTokens / limit) * 100)
  return (
    <figure className={styles.budget}>
      <figcaption>
        <strong>{inFull(totalTokens)}</strong>
        {used} tokens
        {percent !== null && (
          <span className={styles.percent}>{percent < 1 ? 'less than 1' : percent} %</span>
        )}
      </figcaption>
      <div className={styles.bar} aria-hidden>
        {shares.map(({ kind, tokens }) => (
          <span key={kind} data-kind={kind} style={{ width: `${(tokens / whole) * 100}%` }} />
        ))}
      </div>
      <Legend label="Tokens by kind">
        {shares.map(({ kind, name, tokens }) => (
          <li key={kind} data-kind={kind}>
            {name} <b>{inFull(tokens)}</b>
          </li>
        ))}
      </Legend>
    </figure>
  )
}
