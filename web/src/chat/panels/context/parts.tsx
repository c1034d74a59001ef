import { inFull } from '../numbers.ts'
import styles from './context.module.css'
import { type Kind, nameOfKind } from './kinds.ts'

type Part = { kind: Kind; role: string | null; tokens: number; content: string }

/** What the model gets, in order; each opens to all of its text. */
export const Parts = ({ parts }: { parts: readonly Part[] }) => (
  <ol className={styles.parts} aria-label="What the model gets, in order">
    {parts.map(({ kind, role, tokens, content }, index) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: nothing but its place tells one part from another
      <li key={index} data-kind={kind}>
        <details>
          <summary>
            <span className={styles.kind}>
              {nameOfKind(kind)}
              {kind === 'MESSAGE' && role && ` · ${role.toLowerCase()}`}
            </span>
            <span className={styles.tokens}>{inFull(tokens)}</span>
            <span className={styles.start}>{content.slice(0, 160)}</span>
          </summary>
          <pre>{content}</pre>
        </details>
      </li>
    ))}
  </ol>
)
