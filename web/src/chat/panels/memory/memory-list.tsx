import { useQuery } from '@apollo/client/react'
import { useSessionChanges } from '@parley/client/apollo'
import { useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { useSettled } from '../../ui/use-settled.ts'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { Note, Nothing } from '../section.tsx'
import { ClearDialog } from './clear-dialog.tsx'
import styles from './memory.module.css'
import { MemoryForm } from './memory-form.tsx'
import { MemoryRow } from './memory-row.tsx'
import { MemoriesQuery, type Place } from './operations.ts'

type Props = { sessionId: string; scope: 'USER' | 'SESSION'; mayChange: boolean }

/** A run may have remembered something of the person; of the session it is told at once. */
const changes = ['MemoryChanged', 'RunFinished', 'SessionSnapshot'] as const

const explanation = {
  SESSION: 'What is remembered in this conversation, for everybody who takes part.',
  USER: 'What is remembered of you, in all of your conversations.',
}

export function MemoryList({ sessionId, scope, mayChange }: Props) {
  const [prefix, setPrefix] = useState('')
  const [open, setOpen] = useState<'form' | 'clear' | null>(null)
  const place: Place = scope === 'SESSION' ? { scope, sessionId } : { scope }
  const variables = { ...place, prefix: useSettled(prefix) || null }
  const result = useQuery(MemoriesQuery, { variables, ...readAnew })
  useSessionChanges(sessionId, changes, () => result.refetch())
  const refetch = () => void result.refetch()
  const close = () => {
    setOpen(null)
    refetch()
  }
  const shown = { ...result, data: result.data ?? result.previousData }

  const isSearching = prefix !== ''

  return (
    <div className={styles.scope}>
      <Note>{explanation[scope]}</Note>
      <Loaded result={shown}>
        {({ memories: { nodes, totalCount, pageInfo } }) => (
          <>
            {(totalCount > 5 || isSearching) && (
              <Field label="Find">
                {(control) => (
                  <input
                    {...control}
                    type="search"
                    value={prefix}
                    onChange={({ target }) => setPrefix(target.value)}
                    placeholder="How the key begins"
                  />
                )}
              </Field>
            )}
            {nodes.length === 0 && open !== 'form' && (
              <Nothing>
                {isSearching ? `No key begins with “${prefix}”.` : 'Nothing is remembered yet.'}
              </Nothing>
            )}
            {nodes.length > 0 && (
              <ul className={styles.list} aria-label="Memories">
                {nodes.map((memory) => (
                  <MemoryRow key={memory.id} {...{ place, memory, mayChange }} onChange={refetch} />
                ))}
              </ul>
            )}
            {pageInfo.hasNextPage && (
              <Button onClick={() => void result.fetchMore({ variables: { after: pageInfo.endCursor } })}>
                Show more
              </Button>
            )}
            {open === 'form' && <MemoryForm place={place} onDone={close} />}
            {mayChange && open !== 'form' && (
              <div className={styles.foot}>
                <Button onClick={() => setOpen('form')}>Add a memory</Button>
                {totalCount > 1 && (
                  <Button look="quiet" onClick={() => setOpen('clear')}>
                    Forget {isSearching ? `these ${totalCount}` : `all ${totalCount}`}
                  </Button>
                )}
              </div>
            )}
            {open === 'clear' && <ClearDialog {...{ place, prefix }} count={totalCount} onClose={close} />}
          </>
        )}
      </Loaded>
    </div>
  )
}
