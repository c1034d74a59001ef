import { useState } from 'react'
import type { Citation } from '../../message-details.ts'
import styles from './citations.module.css'
import { PassageDialog } from './passage-dialog.tsx'

type Props = { messageId: string; citations: readonly Citation[] }

/** The documents that a reply refers to; each opens the passage. What it was given but does not refer to stays behind a count. */
export function Citations({ messageId, citations }: Props) {
  const [open, setOpen] = useState<number | null>(null)
  const [showsAll, setShowsAll] = useState(false)
  const cited = citations.filter(({ isCited }) => isCited)
  const shown = showsAll ? citations : cited
  const unused = citations.length - cited.length
  if (citations.length === 0) return null

  return (
    <div className={styles.citations}>
      <ul aria-label="Sources">
        {shown.map(({ marker, document, isCited }) => (
          <li key={marker}>
            <button
              type="button"
              className={styles.chip}
              data-cited={isCited}
              onClick={() => setOpen(marker)}
            >
              <span className={styles.marker}>{marker}</span>
              <span className={styles.source}>{document?.title ?? 'A document that is gone'}</span>
            </button>
          </li>
        ))}
        {unused > 0 && !showsAll && (
          <li>
            <button type="button" className={styles.more} onClick={() => setShowsAll(true)}>
              {cited.length > 0
                ? `${unused} more read`
                : `${unused} ${unused === 1 ? 'passage' : 'passages'} read`}
            </button>
          </li>
        )}
      </ul>
      {open !== null && (
        <PassageDialog {...{ messageId, citations, open }} onOpen={setOpen} onClose={() => setOpen(null)} />
      )}
    </div>
  )
}
