import styles from './model.module.css'
import { factsOf, type ListedModel, refusalOf, statusOf } from './models.ts'

type Props = { isChosen: boolean; onChoose: () => void } & (
  | { model: ListedModel }
  | { name: string; facts: string }
)

/** A model with what it can and costs; one that cannot be chosen says why. */
export function ModelOption({ isChosen, onChoose, ...shown }: Props) {
  const model = 'model' in shown ? shown.model : null
  const { name, facts } = 'model' in shown ? { name: shown.model.name, facts: factsOf(shown.model) } : shown
  const isRefused = model !== null && refusalOf(model) !== null
  return (
    <label className={styles.model} data-refused={isRefused}>
      <input type="radio" name="model" checked={isChosen} disabled={isRefused} onChange={onChoose} />
      <span className={styles.modelName}>{name}</span>
      {model && (
        <span className={styles.status} data-status={isRefused ? 'REFUSED' : model.status}>
          {statusOf(model)}
        </span>
      )}
      <span className={styles.modelFacts}>{facts}</span>
    </label>
  )
}
