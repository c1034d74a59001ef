import { type FormEvent, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { Actions } from '../section.tsx'
import { readValue, textOf } from './json.ts'
import styles from './memory.module.css'
import { type Memory, type Place, SaveMemory } from './operations.ts'

type Props = {
  place: Place
  /** The one that is changed; missing for a new one. */
  memory?: Memory
  onDone: () => void
}

export function MemoryForm({ place, memory, onDone }: Props) {
  const [key, setKey] = useState(memory?.key ?? '')
  const [text, setText] = useState(memory ? textOf(memory.value) : '')
  const [expiry, setExpiry] = useState(localMinute(memory?.expiresAt))
  const save = useAction(SaveMemory)
  const read = readValue(text)
  const faultOf = (name: keyof typeof names, found?: string) => {
    const fault = found ?? faultAt(save.fault, name)
    return fault && `The ${names[name]} ${fault}.`
  }

  async function submit(event: FormEvent) {
    event.preventDefault()
    if (!('value' in read)) return
    const expiresAt = expiry === '' ? null : new Date(expiry).toISOString()
    const saved = await save.run({ input: { ...place, key, value: read.value, expiresAt } })
    if (saved) onDone()
  }

  return (
    <form
      className={styles.form}
      onSubmit={(event) => void submit(event)}
      aria-label={memory ? `Change ${memory.key}` : 'New memory'}
    >
      <Field label="Key" error={faultOf('key')}>
        {(control) => (
          <input
            {...control}
            value={key}
            onChange={({ target }) => setKey(target.value)}
            readOnly={memory !== undefined}
            maxLength={255}
            placeholder="Such as diet, or units"
            autoComplete="off"
            spellCheck={false}
            required
          />
        )}
      </Field>
      <Field
        label="Value"
        hint="A text, or JSON such as {&quot;city&quot;: &quot;Bath&quot;}"
        error={faultOf('value', 'fault' in read && text !== '' ? read.fault : undefined)}
      >
        {(control) => (
          <textarea
            {...control}
            value={text}
            onChange={({ target }) => setText(target.value)}
            rows={Math.min(Math.max(text.split('\n').length, 2), 10)}
            spellCheck={false}
            required
          />
        )}
      </Field>
      <Field label="Expires" hint="Empty: kept until it is deleted" error={faultOf('expiresAt')}>
        {(control) => (
          <input
            {...control}
            type="datetime-local"
            value={expiry}
            onChange={({ target }) => setExpiry(target.value)}
          />
        )}
      </Field>
      <FaultNote fault={save.fault} shownAt={Object.keys(names)} />
      <Actions>
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" look="primary" disabled={save.isBusy || key === '' || 'fault' in read}>
          Save
        </Button>
      </Actions>
    </form>
  )
}

const names = { key: 'key', value: 'value', expiresAt: 'expiry' }

/** As a field of the browser takes it, in the time of the place. */
function localMinute(date: string | null | undefined): string {
  if (!date) return ''
  const local = new Date(date)
  local.setMinutes(local.getMinutes() - local.getTimezoneOffset())
  return local.toISOString().slice(0, 16)
}
