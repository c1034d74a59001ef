import { useQuery } from '@apollo/client/react'
import { useLayoutEffect, useRef } from 'react'
import type { Citation } from '../../message-details.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import styles from './citations.module.css'
import { PassageContextsQuery } from './operations.ts'

type Props = {
  messageId: string
  citations: readonly Citation[]
  /** The marker of the one that is shown. */
  open: number
  onOpen: (marker: number) => void
  onClose: () => void
}

/** A passage in its place in the document, as long as it stands there; the others of the reply are a step away. */
export function PassageDialog({ messageId, citations, open, onOpen, onClose }: Props) {
  const contexts = useContexts(messageId)
  const index = citations.findIndex(({ marker }) => marker === open)
  const citation = citations[index]
  if (!citation) return null
  const { document, passage, score, isCited, marker } = citation
  const place = [passage.page && `Page ${passage.page}`, passage.heading].filter(Boolean).join(' · ')
  const step = (by: number) => {
    const next = citations[index + by]
    return next ? { onClick: () => onOpen(next.marker) } : { disabled: true }
  }

  return (
    <Dialog title={document?.title ?? 'A document that is gone'} onClose={onClose}>
      {place && <p className={styles.place}>{place}</p>}
      <Passage key={marker} text={passage.text} context={contexts?.get(marker)} />
      <dl className={styles.facts}>
        <div>
          <dt>Referred to as</dt>
          <dd>{isCited ? `[${marker}]` : 'read, but not referred to'}</dd>
        </div>
        <div>
          <dt>Score</dt>
          <dd title="How well it fitted the question, to be compared within this reply only">
            {score.toFixed(3)}
          </dd>
        </div>
        <div>
          <dt>Characters</dt>
          <dd>
            {passage.startOffset}–{passage.endOffset}
          </dd>
        </div>
      </dl>
      {citations.length > 1 && (
        <div className={styles.steps}>
          <Button size="small" {...step(-1)}>
            Previous
          </Button>
          <span>
            {index + 1} of {citations.length}
          </span>
          <Button size="small" {...step(1)}>
            Next
          </Button>
        </div>
      )}
    </Dialog>
  )
}

type Context = { before: string; after: string }

/** What stands around the passages of a reply, by their markers; a passage without it is shown alone. */
function useContexts(messageId: string): ReadonlyMap<number, Context | null> | undefined {
  const { data } = useQuery(PassageContextsQuery, { variables: { messageId }, fetchPolicy: 'no-cache' })
  return data && new Map(data.message?.citations.map(({ marker, passage }) => [marker, passage.context]))
}

/** The passage stands out of its context, and is in view from the start. */
function Passage({ text, context }: { text: string; context: Context | null | undefined }) {
  const box = useRef<HTMLQuoteElement>(null)
  const passage = useRef<HTMLElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the place follows from the context
  useLayoutEffect(() => {
    if (!box.current || !passage.current) return
    box.current.scrollTop = passage.current.offsetTop - box.current.offsetTop - peekPx
  }, [context])
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must be able to go there
    <blockquote ref={box} className={styles.passage} tabIndex={0}>
      {context && context.before.length >= contextLength && '…'}
      {context?.before}
      <mark ref={passage}>{text}</mark>
      {context?.after}
      {context && context.after.length >= contextLength && '…'}
    </blockquote>
  )
}

/** As asked for; where there is as much, the text goes on. */
const contextLength = 1_000
/** How much of the text before is in view. */
const peekPx = 72
