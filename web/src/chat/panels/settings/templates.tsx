import { useQuery } from '@apollo/client/react'
import { type FormEvent, useState } from 'react'
import { Button, IconButton } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { icons } from '../../ui/icons.tsx'
import { useToast } from '../../ui/toast.tsx'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { policyFormOf, policyOf } from '../model/policies.ts'
import { readAnew } from '../read-anew.ts'
import { Section } from '../section.tsx'
import { DeleteTemplateDialog } from './delete-template-dialog.tsx'
import styles from './settings.module.css'
import type { Session } from './settings-form.tsx'
import { OwnTemplatesQuery, SaveTemplate } from './template-operations.ts'

/** Keeps the settings of the session for new ones, and lists what the viewer kept before. */
export function Templates({ session }: { session: Session }) {
  const toast = useToast()
  const [name, setName] = useState('')
  const [leaving, setLeaving] = useState<{ id: string; name: string } | null>(null)
  const { data, refetch } = useQuery(OwnTemplatesQuery, { ...readAnew })
  const save = useAction(SaveTemplate)
  const fault = faultAt(save.fault, 'name')
  const own = data?.templates.nodes.filter(({ author }) => author.id === data.viewer.user.id) ?? []

  async function submit(event: FormEvent) {
    event.preventDefault()
    const { agent, model, systemPrompt, parameters, contextPolicy } = session
    const saved = await save.run({
      input: {
        ...{ name, model, systemPrompt },
        contextPolicy: policyOf(policyFormOf(contextPolicy)),
        agent: agent?.key ?? null,
        parameters: parameters as Record<string, unknown>,
      },
    })
    if (!saved) return
    setName('')
    toast({ text: `New conversations can begin from “${saved.template.name}”.` })
    await refetch()
  }

  return (
    <Section title="Templates">
      <form onSubmit={(event) => void submit(event)}>
        <Field
          label="Save as a template"
          hint="Keeps agent, model, parameters, system prompt and context policy; no messages."
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
                Keep
              </Button>
            </div>
          )}
        </Field>
        <FaultNote fault={save.fault} shownAt={['name']} />
      </form>
      {own.length > 0 && (
        <ul className={styles.rows} aria-label="Your templates">
          {own.map((template) => (
            <li key={template.id}>
              <span className={styles.name}>{template.name}</span>
              <IconButton
                label={`Delete the template ${template.name}`}
                icon={icons.trash}
                size="small"
                onClick={() => setLeaving(template)}
              />
            </li>
          ))}
        </ul>
      )}
      {leaving && (
        <DeleteTemplateDialog
          template={leaving}
          onClose={() => setLeaving(null)}
          onDeleted={() => void refetch()}
        />
      )}
    </Section>
  )
}
