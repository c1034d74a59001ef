import styles from './progress.module.css'

/** How far something is, 0 to 1, with a word and the per cent beside it. */
export function Progress({ label, share, text }: { label: string; share: number; text: string }) {
  const percent = Math.round(share * 100)
  return (
    <div className={styles.progress}>
      <progress aria-label={label} value={percent} max={100} />
      <span aria-hidden>
        {text} {percent} %
      </span>
    </div>
  )
}
