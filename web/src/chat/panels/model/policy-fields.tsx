import { Field } from '../../ui/field.tsx'
import { type Fault, faultAt } from '../action.ts'
import { Check } from '../check.tsx'
import styles from './model.module.css'
import { type PolicyForm, type PolicyKind, policies, policySettings } from './policies.ts'

type Props = {
  form: PolicyForm
  /** What holds where the session sets none, in words. */
  inherited: string
  fault: Fault | null
  isDisabled: boolean
  onChange: (form: PolicyForm) => void
}

export function PolicyFields({ form, inherited, fault, isDisabled, onChange }: Props) {
  const policy = policies.find(({ kind }) => kind === form.kind)
  const hint = policy?.says
  return (
    <>
      <Field
        label="What goes along with a message"
        {...(hint && { hint })}
        error={faultAt(fault, 'contextPolicy.kind')}
      >
        {(control) => (
          <select
            {...control}
            value={form.kind}
            disabled={isDisabled}
            onChange={({ target }) => onChange({ ...form, kind: target.value as PolicyKind | '' })}
          >
            <option value="">{inherited}</option>
            {policies.map(({ kind, name }) => (
              <option key={kind} value={kind}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {policy && policy.settings.length > 0 && (
        <div className={styles.parameters}>
          {policy.settings.map((name) => {
            const { label, ...bounds } = policySettings[name]
            return (
              <Field key={name} label={label} error={faultAt(fault, `contextPolicy.${name}`)}>
                {(control) => (
                  <input
                    {...control}
                    {...bounds}
                    type="number"
                    required={policy.needed === name}
                    disabled={isDisabled}
                    value={form[name]}
                    placeholder={policy.needed === name ? '' : 'Default'}
                    onChange={({ target }) => onChange({ ...form, [name]: target.value })}
                  />
                )}
              </Field>
            )
          })}
        </div>
      )}
      {policy && policy.kind !== 'HIERARCHICAL' && (
        <Check
          {...{ isDisabled }}
          isOn={form.memories}
          onChange={(memories) => onChange({ ...form, memories })}
        >
          What is remembered goes along, too
        </Check>
      )}
    </>
  )
}
