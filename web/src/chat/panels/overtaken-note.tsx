import { Button } from '../ui/button.tsx'
import styles from './overtaken-note.module.css'

type Props = {
  /** What has changed, in words, such as "title". */
  names: readonly string[]
  onTake: () => void
}

/** Says that saving would overwrite what was stored meanwhile, and offers to take that instead. */
export const OvertakenNote = ({ names, onTake }: Props) =>
  names.length > 0 && (
    <div className={styles.note} role="alert">
      <span>Changed elsewhere meanwhile: {names.join(', ')}. Saving overwrites that.</span>
      <Button size="small" onClick={onTake}>
        Take theirs
      </Button>
    </div>
  )
