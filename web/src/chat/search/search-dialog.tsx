import { useQuery } from '@apollo/client/react'
import { type KeyboardEvent, useId, useState } from 'react'
import { graphql } from '../../generated/gql.ts'
import type { SearchMessagesQuery } from '../../generated/graphql.ts'
import { navigate } from '../route.ts'
import { shortTime } from '../times.ts'
import { Dialog } from '../ui/dialog.tsx'
import fieldStyles from '../ui/field.module.css'
import { useSettled } from '../ui/use-settled.ts'
import styles from './search-dialog.module.css'

const searchQuery = graphql(`
  query SearchMessages($query: String!) {
    search(query: $query, first: 20) {
      nodes {
        session {
          id
          title
        }
        message {
          id
          createdAt
        }
        snippet {
          text
          highlights {
            start
            end
          }
        }
      }
    }
  }
`)

type Hit = SearchMessagesQuery['search']['nodes'][number]

/** Finds messages and titles; arrow keys choose, Enter opens. */
export default function SearchDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  const query = useSettled(text.trim())
  const { data, previousData, error } = useQuery(searchQuery, { variables: { query }, skip: query === '' })
  const hits = (query === '' ? undefined : (data ?? previousData))?.search.nodes ?? []
  const listId = useId()

  function open({ session, message }: Hit) {
    navigate({ sessionId: session.id, messageId: message?.id ?? null })
    onClose()
  }

  function move(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const hit = hits[chosen]
    if (step && hits.length > 0) {
      event.preventDefault()
      setChosen((chosen + step + hits.length) % hits.length)
    } else if (event.key === 'Enter' && hit) open(hit)
  }

  return (
    <Dialog title="Search" onClose={onClose}>
      <input
        type="text"
        role="combobox"
        aria-label="Search messages and titles"
        aria-expanded={hits.length > 0}
        aria-controls={listId}
        aria-activedescendant={hits.length > 0 ? `${listId}-${chosen}` : undefined}
        aria-autocomplete="list"
        className={fieldStyles.input}
        placeholder="Words of a message or a title"
        value={text}
        autoComplete="off"
        onKeyDown={move}
        onChange={(event) => {
          setText(event.target.value)
          setChosen(0)
        }}
      />
      <div id={listId} role="listbox" aria-label="Found" className={styles.results}>
        {hits.map((hit, at) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are heard by the field that has the focus
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus and names the chosen one
          <div
            key={`${hit.session.id} ${hit.message?.id}`}
            id={`${listId}-${at}`}
            role="option"
            aria-selected={at === chosen}
            className={styles.hit}
            onMouseMove={() => setChosen(at)}
            onClick={() => open(hit)}
          >
            <span className={styles.top}>
              <span className={styles.title}>{hit.session.title ?? 'New conversation'}</span>
              {hit.message && <span className={styles.time}>{shortTime(hit.message.createdAt)}</span>}
            </span>
            {hit.message && <Snippet snippet={hit.snippet} />}
          </div>
        ))}
      </div>
      {hits.length === 0 && (
        <p className={styles.note} role="status">
          {noteOf(query, error, data !== undefined)}
        </p>
      )}
    </Dialog>
  )
}

function noteOf(query: string, error: Error | undefined, isDone: boolean) {
  if (error) return error.message
  if (query === '') return 'Everything that was said in your conversations can be found here.'
  return isDone ? `Nothing was found for “${query}”.` : 'Searching…'
}

function Snippet({ snippet: { text, highlights } }: Pick<Hit, 'snippet'>) {
  let end = 0
  const parts = highlights.map((mark) => {
    const before = text.slice(end, mark.start)
    end = mark.end
    return (
      <span key={mark.start}>
        {before}
        <mark>{text.slice(mark.start, mark.end)}</mark>
      </span>
    )
  })
  return (
    <span className={styles.snippet}>
      {parts}
      {text.slice(end)}
    </span>
  )
}
