import type { DocumentRowFragment } from '../../../generated/graphql.ts'
import { IconButton } from '../../ui/button.tsx'
import { icons } from '../../ui/icons.tsx'
import { bytesInWords, countOf } from '../numbers.ts'
import { Switch } from '../switch.tsx'
import styles from './documents.module.css'
import { nameOfKind } from './file.ts'
import { Indexing } from './indexing.tsx'

type Props = {
  document: DocumentRowFragment
  isAttached: boolean
  /** Called with whether it shall be; missing where the viewer may not change that. */
  onAttach?: (isAttached: boolean) => void
  /** Missing where it is somebody else's. */
  onDelete?: () => void
}

export function DocumentRow({ document, isAttached, onAttach, onDelete }: Props) {
  const { id, title, mimeType, bytes, status, progress, chunkCount, error } = document
  return (
    <li className={styles.document}>
      <span className={styles.icon}>{icons.document}</span>
      <div className={styles.about}>
        <span className={styles.title} title={title}>
          {title}
        </span>
        {status === 'INDEXING' ? (
          <Indexing {...{ id, title, progress }} />
        ) : (
          <span className={styles.meta}>
            {nameOfKind(mimeType)} · {bytesInWords(bytes)}
            {status === 'READY' && ` · ${countOf(chunkCount, 'passage')}`}
          </span>
        )}
        {status === 'FAILED' && <p className={styles.failed}>{error ?? 'It could not be read.'}</p>}
      </div>
      {onAttach && (
        <Switch label={`Use ${title} in this conversation`} isOn={isAttached} onChange={onAttach} />
      )}
      {onDelete && (
        <IconButton label={`Delete ${title}`} icon={icons.trash} size="small" onClick={onDelete} />
      )}
    </li>
  )
}
