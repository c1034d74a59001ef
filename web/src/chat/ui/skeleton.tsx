import styles from './skeleton.module.css'

const widths = ['72%', '90%', '58%', '81%', '66%', '77%']

/** Grey lines in the place of text that is on its way. */
export function Skeleton({ label, lines = 6 }: { label: string; lines?: number }) {
  return (
    <div className={styles.skeleton} role="status">
      <span className="visually-hidden">{label}</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are all alike and never move
        <div key={line} className={styles.line} style={{ width: widths[line % widths.length] }} />
      ))}
    </div>
  )
}
