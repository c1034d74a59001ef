import { useQuery } from '@apollo/client/react'
import { type FormEvent, useState } from 'react'
import { useLimits } from '../limits.ts'
import { faultAt, useAction } from '../panels/action.ts'
import { FaultNote } from '../panels/fault-note.tsx'
import { Loaded } from '../panels/loaded.tsx'
import { Actions } from '../panels/section.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import styles from './dialogs.module.css'
import { RenameSession, SessionNameQuery } from './operations.ts'

type Props = { sessionId: string; onClose: () => void }

export function RenameDialog({ sessionId, onClose }: Props) {
  const result = useQuery(SessionNameQuery, { variables: { sessionId } })
  return (
    <Dialog title="Rename" onClose={onClose}>
      <Loaded result={result}>
        {({ session }) => session && <NameForm {...{ sessionId, onClose }} title={session.title} />}
      </Loaded>
    </Dialog>
  )
}

function NameForm({ sessionId, title, onClose }: Props & { title: string | null }) {
  const [name, setName] = useState(title ?? '')
  const rename = useAction(RenameSession)
  const { titleMaxLength } = useLimits() ?? {}
  const fault = faultAt(rename.fault, 'title')

  async function submit(event: FormEvent) {
    event.preventDefault()
    if (await rename.run({ input: { sessionId, title: name } })) onClose()
  }

  return (
    <form className={styles.form} onSubmit={(event) => void submit(event)}>
      <Field label="Title" error={fault && `The title ${fault}.`}>
        {(control) => (
          <input
            {...control}
            ref={selectAll}
            value={name}
            maxLength={titleMaxLength}
            onChange={({ target }) => setName(target.value)}
          />
        )}
      </Field>
      <FaultNote fault={rename.fault} shownAt={['title']} />
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={rename.isBusy || name.trim() === ''}>
          Rename
        </Button>
      </Actions>
    </form>
  )
}

/** What stands there is mostly to be replaced. */
function selectAll(input: HTMLInputElement | null) {
  input?.focus()
  input?.select()
}
