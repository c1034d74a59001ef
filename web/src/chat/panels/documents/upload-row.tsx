import { IconButton } from '../../ui/button.tsx'
import { icons } from '../../ui/icons.tsx'
import { FaultNote } from '../fault-note.tsx'
import { Progress } from '../progress.tsx'
import styles from './documents.module.css'
import type { Upload } from './use-uploads.ts'

type Props = { upload: Upload; onRetry: () => void; onDismiss: () => void }

export function UploadRow({ upload, onRetry, onDismiss }: Props) {
  const { share, fault } = upload
  const { name } = upload.file
  return (
    <li className={styles.document}>
      <span className={styles.icon}>{icons.document}</span>
      <div className={styles.about}>
        <span className={styles.title}>{name}</span>
        {fault ? (
          <FaultNote fault={fault} />
        ) : (
          <Progress label={`Uploading ${name}`} share={share} text="Uploading" />
        )}
      </div>
      {fault && (
        <>
          <IconButton label={`Upload ${name} again`} icon={icons.retry} size="small" onClick={onRetry} />
          <IconButton label={`Dismiss ${name}`} icon={icons.close} size="small" onClick={onDismiss} />
        </>
      )}
    </li>
  )
}
