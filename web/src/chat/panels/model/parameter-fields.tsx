import { Field } from '../../ui/field.tsx'
import { type Fault, faultAt } from '../action.ts'
import styles from './model.module.css'
import { inherited, type Layer, type ParameterForm, parameters } from './parameters.ts'

type Props = {
  form: ParameterForm
  /** What holds where the form is empty, the strongest last. */
  layers: readonly Layer[]
  fault: Fault | null
  isDisabled: boolean
  onChange: (form: ParameterForm) => void
}

/** A field for each; what is empty shows the value that holds, and where it comes from. */
export function ParameterFields({ form, layers, fault, isDisabled, onChange }: Props) {
  const common = (name: string) => ({
    value: form[name] ?? '',
    placeholder: inheritedText(name, layers),
    disabled: isDisabled,
    onChange: ({ target }: { target: { value: string } }) => onChange({ ...form, [name]: target.value }),
  })
  const notes = (name: string) => ({
    hint: form[name] ? 'Set here' : sourceOf(name, layers),
    error: faultAt(fault, `parameters.${name}`),
  })

  return (
    <div className={styles.parameters}>
      {parameters.map(({ name, label, hint, ...bounds }) => (
        <Field key={name} label={label} {...notes(name)}>
          {(control) => (
            <input
              type="number"
              inputMode="decimal"
              title={hint}
              {...bounds}
              {...control}
              {...common(name)}
            />
          )}
        </Field>
      ))}
      <Field label="Stop at" {...notes('stop')}>
        {(control) => (
          <textarea
            rows={1}
            title="One text a line; the reply ends before the first"
            {...control}
            {...common('stop')}
          />
        )}
      </Field>
    </div>
  )
}

const sourceOf = (name: string, layers: readonly Layer[]) => {
  const found = inherited(name, layers)
  return found ? `From ${found.from}` : 'Left to the model'
}

function inheritedText(name: string, layers: readonly Layer[]): string {
  const value = inherited(name, layers)?.value
  return Array.isArray(value) ? value.join('\n') : String(value ?? '')
}
