import { type FormEvent, useState } from 'react'
import type { ModelSettingsQuery } from '../../../generated/graphql.ts'
import { Field } from '../../ui/field.tsx'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { SaveBar } from '../save-bar.tsx'
import { Section } from '../section.tsx'
import { inheritanceOf } from './inheritance.ts'
import { ModelPicker } from './model-picker.tsx'
import { SaveModelSettings } from './operations.ts'
import { ParameterFields } from './parameter-fields.tsx'
import { formOf, parameters, valuesOf } from './parameters.ts'
import { policyFormOf, policyOf, policySettings } from './policies.ts'
import { PolicyFields } from './policy-fields.tsx'

export type Session = NonNullable<ModelSettingsQuery['session']>
type Props = { session: Session; models: ModelSettingsQuery['models'] }

const draftOf = ({ model, parameters, systemPrompt, contextPolicy }: Session) => ({
  model,
  parameters: formOf(parameters as Record<string, unknown>),
  systemPrompt: systemPrompt ?? '',
  policy: policyFormOf(contextPolicy),
})

/** Faults that are shown beside their fields. */
const shownAt = [
  ...[...parameters.map(({ name }) => name), 'stop'].map((name) => `parameters.${name}`),
  ...['kind', ...Object.keys(policySettings)].map((name) => `contextPolicy.${name}`),
  'systemPrompt',
]

/** What the session sets of its own, over what it inherits; a draft until it is saved. */
export function ModelForm({ session, models }: Props) {
  const [draft, setDraft] = useState<ReturnType<typeof draftOf> | null>(null)
  const save = useAction(SaveModelSettings)
  const form = draft ?? draftOf(session)
  const change = (changes: Partial<typeof form>) => setDraft({ ...form, ...changes })
  const isDisabled = session.viewerRole === 'VIEWER'
  const inherited = inheritanceOf(session, models, form.model)

  async function submit(event: FormEvent) {
    event.preventDefault()
    const saved = await save.run({
      input: {
        sessionId: session.id,
        model: form.model,
        parameters: valuesOf(form.parameters),
        systemPrompt: form.systemPrompt || null,
        contextPolicy: policyOf(form.policy),
      },
    })
    if (saved) setDraft(null)
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <Section title="Model">
        <ModelPicker
          {...{ models, isDisabled }}
          chosen={form.model}
          inherited={inherited.model}
          onChoose={(model) => change({ model })}
        />
      </Section>
      <Section title="Parameters">
        <ParameterFields
          {...{ isDisabled }}
          form={form.parameters}
          layers={inherited.layers}
          fault={save.fault}
          onChange={(parameters) => change({ parameters })}
        />
      </Section>
      <Section title="Instructions">
        <Field
          label="System prompt"
          hint={form.systemPrompt ? 'Set here' : inherited.systemPrompt.says}
          error={faultAt(save.fault, 'systemPrompt')}
        >
          {(control) => (
            <textarea
              {...control}
              rows={4}
              maxLength={10_000}
              value={form.systemPrompt}
              disabled={isDisabled}
              placeholder={inherited.systemPrompt.text}
              onChange={({ target }) => change({ systemPrompt: target.value })}
            />
          )}
        </Field>
        <PolicyFields
          {...{ isDisabled }}
          form={form.policy}
          inherited={inherited.policy}
          fault={save.fault}
          onChange={(policy) => change({ policy })}
        />
        <FaultNote fault={save.fault} shownAt={shownAt} />
      </Section>
      {draft && <SaveBar isBusy={save.isBusy} onDiscard={() => setDraft(null)} />}
    </form>
  )
}
