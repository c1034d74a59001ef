import { type KeyboardEvent, useState } from 'react'
import { Field } from '../../ui/field.tsx'
import styles from './settings.module.css'

type Props = {
  tags: readonly string[]
  isDisabled: boolean
  fault: string | undefined
  onChange: (tags: string[]) => void
}

/** Enter or a comma adds what is written; backspace in the empty field takes the last one. */
export function TagsField({ tags, isDisabled, fault, onChange }: Props) {
  const [text, setText] = useState('')

  function add() {
    const tag = text.trim()
    if (tag && !tags.includes(tag)) onChange([...tags, tag])
    setText('')
  }
  function press(event: KeyboardEvent) {
    if (event.key === 'Enter' || event.key === ',') {
      event.preventDefault()
      add()
    } else if (event.key === 'Backspace' && text === '' && tags.length > 0) onChange(tags.slice(0, -1))
  }

  return (
    <Field label="Tags" {...(!isDisabled && { hint: 'Enter adds one' })} error={fault && `A tag ${fault}.`}>
      {({ className, ...control }) => (
        <div className={`${className} ${styles.tags}`}>
          {tags.map((tag) => (
            <span key={tag} className={styles.tag}>
              {tag}
              {!isDisabled && (
                <button
                  type="button"
                  aria-label={`Remove the tag ${tag}`}
                  onClick={() => onChange(tags.filter((each) => each !== tag))}
                >
                  ×
                </button>
              )}
            </span>
          ))}
          <input
            {...control}
            value={text}
            disabled={isDisabled}
            onChange={({ target }) => setText(target.value)}
            onKeyDown={press}
            onBlur={add}
          />
        </div>
      )}
    </Field>
  )
}
