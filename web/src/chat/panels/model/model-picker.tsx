import { useState } from 'react'
import { Nothing } from '../section.tsx'
import styles from './model.module.css'
import { ModelOption } from './model-option.tsx'
import { groupsOf, type ListedModel } from './models.ts'

type Props = {
  models: readonly ListedModel[]
  /** The id of the session's own; null for the one that it inherits. */
  chosen: string | null
  /** Whose that is, and which, in words. */
  inherited: { says: string; facts: string }
  isDisabled: boolean
  onChoose: (id: string | null) => void
}

export function ModelPicker({ models, chosen, inherited, isDisabled, onChoose }: Props) {
  const [search, setSearch] = useState('')
  const groups = groupsOf(models, search)
  const radio = (id: string | null) => ({ isChosen: chosen === id, onChoose: () => onChoose(id) })

  return (
    <fieldset className={styles.picker} disabled={isDisabled}>
      <legend className="visually-hidden">Model</legend>
      <input
        type="search"
        className={styles.search}
        value={search}
        onChange={({ target }) => setSearch(target.value)}
        // Enter would send the form around it.
        onKeyDown={(event) => event.key === 'Enter' && event.preventDefault()}
        placeholder="Search models"
        aria-label="Search models"
      />
      <div className={styles.models}>
        {search === '' && <ModelOption name={inherited.says} facts={inherited.facts} {...radio(null)} />}
        {groups.map(([provider, group]) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset within the fieldset would be read twice
          <div key={provider} role="group" aria-label={provider}>
            <h4 className={styles.provider}>{provider}</h4>
            {group.map((model) => (
              <ModelOption key={model.id} model={model} {...radio(model.id)} />
            ))}
          </div>
        ))}
        {groups.length === 0 && <Nothing>No model has “{search}” in its name.</Nothing>}
      </div>
    </fieldset>
  )
}
