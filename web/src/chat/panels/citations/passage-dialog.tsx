import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import styles from './citations.module.css'
import type { Citation } from './operations.ts'

type Props = {
  citations: readonly Citation[]
  /** The marker of the one that is shown. */
  open: number
  onOpen: (marker: number) => void
  onClose: () => void
}

/** A passage with where it stands in its document; the others of the reply are a step away. */
export function PassageDialog({ citations, open, onOpen, onClose }: Props) {
  const index = citations.findIndex(({ marker }) => marker === open)
  const citation = citations[index]
  if (!citation) return null
  const { document, passage, score, isCited, marker } = citation
  const place = [passage.page && `Page ${passage.page}`, passage.heading].filter(Boolean).join(' · ')
  const step = (by: number) => {
    const next = citations[index + by]
    return next ? { onClick: () => onOpen(next.marker) } : { disabled: true }
  }

  return (
    <Dialog title={document?.title ?? 'A document that is gone'} onClose={onClose}>
      {place && <p className={styles.place}>{place}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must be able to go there */}
      <blockquote className={styles.passage} tabIndex={0}>
        {passage.text}
      </blockquote>
      <dl className={styles.facts}>
        <div>
          <dt>Referred to as</dt>
          <dd>{isCited ? `[${marker}]` : 'read, but not referred to'}</dd>
        </div>
        <div>
          <dt>Score</dt>
          <dd title="How well it fitted the question, to be compared within this reply only">
            {score.toFixed(3)}
          </dd>
        </div>
        <div>
          <dt>Characters</dt>
          <dd>
            {passage.startOffset}–{passage.endOffset}
          </dd>
        </div>
      </dl>
      {citations.length > 1 && (
        <div className={styles.steps}>
          <Button size="small" {...step(-1)}>
            Previous
          </Button>
          <span>
            {index + 1} of {citations.length}
          </span>
          <Button size="small" {...step(1)}>
            Next
          </Button>
        </div>
      )}
    </Dialog>
  )
}
