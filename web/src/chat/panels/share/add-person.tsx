import { useQuery } from '@apollo/client/react'
import { type FormEvent, useId, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { useSettled } from '../../ui/use-settled.ts'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { AddParticipant, PeopleQuery } from './operations.ts'
import { RoleSelect } from './role-select.tsx'
import type { Role } from './roles.ts'
import styles from './share.module.css'

/** Admins get the people of the tenant offered; others write the id that somebody signs in with. */
export function AddPerson({ sessionId, isAdmin }: { sessionId: string; isAdmin: boolean }) {
  const listId = useId()
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('EDITOR')
  const add = useAction(AddParticipant)
  const search = useSettled(name.trim())
  const { data } = useQuery(PeopleQuery, { variables: { search }, skip: !isAdmin || search === '' })
  const fault = faultAt(add.fault, 'externalUserId') ?? faultAt(add.fault, 'userId')

  async function submit(event: FormEvent) {
    event.preventDefault()
    const added = await add.run({ input: { sessionId, role, externalUserId: name.trim() } })
    if (added) setName('')
  }

  return (
    <form className={styles.add} onSubmit={(event) => void submit(event)}>
      <Field
        label="Share with"
        hint="The id that they sign in with, the “sub” of their token."
        error={fault && `The person ${fault}.`}
      >
        {(control) => (
          <div className={styles.addRow}>
            <input
              {...control}
              value={name}
              onChange={({ target }) => setName(target.value)}
              placeholder="User id"
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              list={isAdmin ? listId : undefined}
              maxLength={255}
              required
            />
            <RoleSelect label="Role of the new person" {...{ role }} onChange={setRole} />
            <Button type="submit" look="primary" disabled={add.isBusy || name.trim() === ''}>
              Add
            </Button>
          </div>
        )}
      </Field>
      <datalist id={listId}>
        {data?.users.nodes.map((user) => (
          <option key={user.id} value={user.externalId}>
            {user.name ?? user.email}
          </option>
        ))}
      </datalist>
      <FaultNote fault={add.fault} shownAt={['externalUserId', 'userId']} />
    </form>
  )
}
