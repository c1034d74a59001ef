import { type DragEvent, type ReactNode, useState } from 'react'
import styles from './drop-zone.module.css'

type Props = {
  title: string
  /** As the attribute of file inputs takes it. */
  accept: string
  takesSeveral?: boolean
  isBusy?: boolean
  onFiles: (files: File[]) => void
  /** What may be brought, in a sentence. */
  children: ReactNode
}

/** Takes files that are dropped on it, or chosen by mouse or keyboard. */
export function DropZone({ title, accept, takesSeveral = false, isBusy = false, onFiles, children }: Props) {
  const [isOver, setIsOver] = useState(false)

  function drop(event: DragEvent) {
    event.preventDefault()
    setIsOver(false)
    if (!isBusy) onFiles([...event.dataTransfer.files])
  }

  return (
    <label
      className={styles.zone}
      data-over={isOver}
      data-busy={isBusy}
      onDragOver={(event) => {
        event.preventDefault()
        setIsOver(true)
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <input
        type="file"
        multiple={takesSeveral}
        accept={accept}
        disabled={isBusy}
        onChange={({ target }) => {
          onFiles([...(target.files ?? [])])
          // The same file can be chosen again.
          target.value = ''
        }}
      />
      <strong>{title}</strong>
      <span>{children}</span>
    </label>
  )
}
