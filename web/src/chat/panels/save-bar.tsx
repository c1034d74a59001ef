import { Button } from '../ui/button.tsx'
import styles from './save-bar.module.css'

type Props = { isBusy: boolean; isDisabled?: boolean; onDiscard: () => void }

/** Stays in sight at the foot of a form that was changed. */
export const SaveBar = ({ isBusy, isDisabled = false, onDiscard }: Props) => (
  <div className={styles.bar}>
    <Button onClick={onDiscard}>Discard</Button>
    <Button type="submit" look="primary" disabled={isBusy || isDisabled}>
      Save
    </Button>
  </div>
)
