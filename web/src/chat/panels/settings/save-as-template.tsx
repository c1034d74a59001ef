import { type FormEvent, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { useToast } from '../../ui/toast.tsx'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { Section } from '../section.tsx'
import { SaveTemplate } from './operations.ts'
import styles from './settings.module.css'
import type { Session } from './settings-form.tsx'

/** Keeps the settings of the session for new ones; not its messages. */
export function SaveAsTemplate({ session }: { session: Session }) {
  const toast = useToast()
  const [name, setName] = useState('')
  const save = useAction(SaveTemplate)
  const fault = faultAt(save.fault, 'name')

  async function submit(event: FormEvent) {
    event.preventDefault()
    const { agent, model, systemPrompt, parameters } = session
    const saved = await save.run({
      input: {
        ...{ name, model, systemPrompt },
        agent: agent?.key ?? null,
        parameters: parameters as Record<string, unknown>,
      },
    })
    if (!saved) return
    setName('')
    toast({ text: `New sessions can begin from “${saved.template.name}”.` })
  }

  return (
    <Section title="Template">
      <form onSubmit={(event) => void submit(event)}>
        <Field
          label="Save as a template"
          hint="Keeps agent, model, parameters and system prompt for new sessions; no messages."
          error={fault && `The name ${fault}.`}
        >
          {(control) => (
            <div className={styles.row}>
              <input
                {...control}
                value={name}
                onChange={({ target }) => setName(target.value)}
                maxLength={255}
                placeholder="Its name"
                required
              />
              <Button type="submit" disabled={save.isBusy || name.trim() === ''}>
                Save
              </Button>
            </div>
          )}
        </Field>
        <FaultNote fault={save.fault} shownAt={['name']} />
      </form>
    </Section>
  )
}
