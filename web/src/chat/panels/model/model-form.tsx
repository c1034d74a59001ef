import type { FormEvent } from 'react'
import type { ModelSettingsQuery } from '../../../generated/graphql.ts'
import { Field } from '../../ui/field.tsx'
import { faultAt, useAction } from '../action.ts'
import { useDraft } from '../draft.ts'
import { FaultNote } from '../fault-note.tsx'
import { OvertakenNote } from '../overtaken-note.tsx'
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

const names = {
  model: 'model',
  parameters: 'parameters',
  systemPrompt: 'system prompt',
  policy: 'context policy',
} as const

/** What the session sets of its own, over what it inherits; a draft until it is saved, and then only what was changed. */
export function ModelForm({ session, models }: Props) {
  const { form, changes, overtaken, change, discard } = useDraft(draftOf(session))
  const save = useAction(SaveModelSettings)
  const isDisabled = session.viewerRole === 'VIEWER'
  const inherited = inheritanceOf(session, models, form.model)

  async function submit(event: FormEvent) {
    event.preventDefault()
    const { model, parameters, systemPrompt, policy } = changes ?? {}
    const saved = await save.run({
      input: {
        sessionId: session.id,
        ...(model !== undefined && { model }),
        ...(parameters && { parameters: valuesOf(parameters) }),
        ...(systemPrompt !== undefined && { systemPrompt: systemPrompt || null }),
        ...(policy && { contextPolicy: policyOf(policy) }),
      },
    })
    if (saved) discard()
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
      <OvertakenNote names={overtaken.map((name) => names[name])} onTake={() => discard(overtaken)} />
      {changes && <SaveBar isBusy={save.isBusy} onDiscard={() => discard()} />}
    </form>
  )
}
