import { type FormEvent, type KeyboardEvent, type Ref, useLayoutEffect, useRef, useState } from 'react'
import { useLimits } from '../limits.ts'
import { Button } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import styles from './composer.module.css'
import { drafts } from './drafts.ts'

type ComposerProps = {
  ref?: Ref<HTMLTextAreaElement>
  label: string
  /** A reply is being written: there is something to stop, and what is sent waits. */
  isReplying: boolean
  /** What is written but not sent is kept under it until the page is closed. */
  draftKey: string
  onSend: (content: string) => void
  onStop?: (() => void) | undefined
  /** Called with each key, with what is written so far. */
  onType?: (text: string) => void
  /** Arrow up in an empty field. */
  onEditLast?: (() => void) | undefined
}

/** Enter sends, Shift and Enter begins a line, Escape stops the reply. */
export function Composer(props: ComposerProps) {
  const { ref, label, isReplying, draftKey, onSend, onStop, onType, onEditLast } = props
  const [text, setText] = useState(() => drafts.get(draftKey) ?? '')
  const box = useRef<HTMLDivElement>(null)
  const content = text.trim()
  const limit = useLimits()?.messageMaxLength ?? Number.POSITIVE_INFINITY
  const isNearLimit = content.length > limit * 0.9
  // Characters as the server counts them, which are fewer than units of UTF-16.
  const length = isNearLimit ? [...content].length : content.length
  const isTooLong = length > limit

  // For browsers without `field-sizing`.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows from the text
  useLayoutEffect(() => {
    if (CSS.supports('field-sizing', 'content')) return
    const input = box.current?.querySelector('textarea')
    if (!input) return
    input.style.height = 'auto'
    input.style.height = `${input.scrollHeight}px`
  }, [text])

  function change(text: string) {
    setText(text)
    drafts.set(draftKey, text)
    onType?.(text)
  }

  function send(event?: FormEvent) {
    event?.preventDefault()
    if (content === '' || isTooLong) return
    onSend(content)
    change('')
  }

  function press(event: KeyboardEvent) {
    // Enter that ends the composition of a word is not meant for the page.
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      send()
    } else if (event.key === 'Escape' && isReplying) {
      event.preventDefault()
      onStop?.()
    } else if (event.key === 'ArrowUp' && text === '' && onEditLast) {
      event.preventDefault()
      onEditLast()
    }
  }

  const isStop = isReplying && content === '' && onStop !== undefined
  return (
    <form className={styles.form} onSubmit={send}>
      <div ref={box} className={styles.box}>
        <textarea
          ref={ref}
          className={styles.input}
          aria-label={label}
          placeholder={label}
          rows={1}
          value={text}
          onChange={(event) => change(event.target.value)}
          onKeyDown={press}
        />
        {isStop ? (
          <Button
            className={styles.send}
            look="primary"
            aria-label="Stop"
            title="Stop (Esc)"
            onClick={onStop}
          >
            {icons.stop}
          </Button>
        ) : (
          <Button
            className={styles.send}
            look="primary"
            type="submit"
            aria-label="Send"
            title={isReplying ? 'Send after this reply' : 'Send (Enter)'}
            disabled={content === '' || isTooLong}
          >
            {icons.send}
          </Button>
        )}
      </div>
      <div className={styles.foot}>
        <span className={styles.hint}>
          {isReplying
            ? 'What you send now waits for this reply. Esc stops it.'
            : 'Enter to send, Shift + Enter for a new line'}
        </span>
        {isNearLimit && (
          <span className={isTooLong ? styles.tooLong : undefined} role="status">
            {length.toLocaleString()} / {limit.toLocaleString()}
          </span>
        )}
      </div>
    </form>
  )
}
