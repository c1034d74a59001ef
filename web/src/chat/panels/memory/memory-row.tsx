import { useState } from 'react'
import { IconButton } from '../../ui/button.tsx'
import { icons } from '../../ui/icons.tsx'
import { useToast } from '../../ui/toast.tsx'
import { useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { momentOf } from '../numbers.ts'
import { textOf } from './json.ts'
import styles from './memory.module.css'
import { MemoryForm } from './memory-form.tsx'
import { DeleteMemory, type Memory, type Place, SaveMemory } from './operations.ts'

type Props = { place: Place; memory: Memory; mayChange: boolean; onChange: () => void }

export function MemoryRow({ place, memory, mayChange, onChange }: Props) {
  const [isEditing, setIsEditing] = useState(false)
  const toast = useToast()
  const remove = useAction(DeleteMemory)
  const save = useAction(SaveMemory, { onFault: ({ message }) => toast({ text: message }) })
  const { key, value, source, expiresAt } = memory

  async function forget() {
    if (!(await remove.run({ input: { ...place, key } }))) return
    onChange()
    const undo = async () => {
      await save.run({ input: { ...place, key, value, expiresAt } })
      onChange()
    }
    toast({ text: `“${key}” is forgotten.`, action: { label: 'Undo', onSelect: () => void undo() } })
  }

  if (isEditing)
    return (
      <li className={styles.memory}>
        <MemoryForm
          {...{ place, memory }}
          onDone={() => {
            setIsEditing(false)
            onChange()
          }}
        />
      </li>
    )
  return (
    <li className={styles.memory}>
      <div className={styles.head}>
        <code className={styles.key} title={key}>
          {key}
        </code>
        {mayChange && (
          <>
            <IconButton
              label={`Edit ${key}`}
              icon={icons.edit}
              size="small"
              onClick={() => setIsEditing(true)}
            />
            <IconButton
              label={`Delete ${key}`}
              icon={icons.trash}
              size="small"
              disabled={remove.isBusy}
              onClick={() => void forget()}
            />
          </>
        )}
      </div>
      <pre className={typeof value === 'string' ? styles.value : `${styles.value} ${styles.json}`}>
        {textOf(value)}
      </pre>
      <p className={styles.about}>
        <span className={styles.source} data-source={source}>
          {source === 'MODEL' ? 'By the model' : 'By hand'}
        </span>{' '}
        {expiresAt ? `until ${momentOf(expiresAt)}` : 'kept until deleted'}
      </p>
      <FaultNote fault={remove.fault} />
    </li>
  )
}
