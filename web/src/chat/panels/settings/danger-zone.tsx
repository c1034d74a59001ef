import { useState } from 'react'
import { navigate } from '../../route.ts'
import { Button } from '../../ui/button.tsx'
import { FaultNote } from '../fault-note.tsx'
import { Note, Section } from '../section.tsx'
import { PurgeDialog } from './purge-dialog.tsx'
import styles from './settings.module.css'
import type { Session } from './settings-form.tsx'
import { useDeletion } from './use-deletion.ts'

export function DangerZone({ session }: { session: Session }) {
  const [isErasing, setIsErasing] = useState(false)
  const deletion = useDeletion()
  const leave = () => navigate({ sessionId: null }, { replace: true })

  async function remove() {
    if (await deletion.remove(session)) leave()
  }

  return (
    <Section title="Delete">
      <Note>
        A deleted conversation is out of sight for everybody; its owners can restore it from the menu of their
        account. An erased one is gone for good.
      </Note>
      <FaultNote fault={deletion.fault} />
      <div className={styles.row}>
        <Button disabled={deletion.isBusy} onClick={() => void remove()}>
          Delete
        </Button>
        <Button look="quiet" onClick={() => setIsErasing(true)}>
          Erase for good…
        </Button>
      </div>
      {isErasing && <PurgeDialog session={session} onClose={() => setIsErasing(false)} onPurged={leave} />}
    </Section>
  )
}
