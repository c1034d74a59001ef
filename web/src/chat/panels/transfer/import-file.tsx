import { newClientId } from '@parley/client'
import { useState } from 'react'
import type { ImportSessionMutation } from '../../../generated/graphql.ts'
import { useLimits } from '../../limits.ts'
import { type Payload, useAction } from '../action.ts'
import { DropZone } from '../drop-zone.tsx'
import { FaultNote } from '../fault-note.tsx'
import { bytesInWords } from '../numbers.ts'
import { ImportResult } from './import-result.tsx'
import { ImportSession } from './operations.ts'
import styles from './transfer.module.css'

/** `onOpen` is called when one of the new conversations is opened. */
export function ImportFile({ onOpen }: { onOpen?: () => void }) {
  const send = useAction(ImportSession)
  const [imported, setImported] = useState<Payload<ImportSessionMutation> | null>(null)
  const limits = useLimits()
  const [name, setName] = useState('')

  async function read(file: File | undefined) {
    if (!file) return
    setImported(null)
    setName(file.name)
    setImported(await send.run({ input: { content: await file.text(), clientId: newClientId() } }))
  }

  return (
    <div className={styles.import}>
      <DropZone
        title={send.isBusy ? `Reading “${name}”` : 'Choose a file'}
        accept=".json,application/json"
        isBusy={send.isBusy}
        onFiles={([file]) => void read(file)}
      >
        Or drop it here. JSON of Parley, ChatGPT or LibreChat
        {limits && `, up to ${bytesInWords(limits.requestMaxBytes)}`}.
      </DropZone>
      <div aria-live="polite" className={styles.result}>
        {imported && <ImportResult {...imported} {...{ name, onOpen }} />}
      </div>
      {send.fault && <p className={styles.failed}>Nothing of “{name}” was stored.</p>}
      <FaultNote fault={send.fault} />
    </div>
  )
}
