import { useQuery } from '@apollo/client/react'
import { useState } from 'react'
import { Button, IconButton } from '../../ui/button.tsx'
import { icons } from '../../ui/icons.tsx'
import { countOf, dayOf } from '../numbers.ts'
import { Section } from '../section.tsx'
import { DeletedSessionsQuery } from './operations.ts'
import { PurgeDialog } from './purge-dialog.tsx'
import styles from './settings.module.css'
import { useDeletion } from './use-deletion.ts'

/** The viewer's deleted sessions, which can be restored until they are erased. */
export function Trash() {
  const { data, refetch, fetchMore } = useQuery(DeletedSessionsQuery, { fetchPolicy: 'cache-and-network' })
  const [erasing, setErasing] = useState<{ id: string; title: string | null; messageCount: number } | null>(
    null,
  )
  const { restore } = useDeletion()
  const { nodes = [], totalCount = 0, pageInfo } = data?.sessions ?? {}
  if (totalCount === 0) return null

  return (
    <Section title={`Deleted (${totalCount})`}>
      <ul className={styles.rows} aria-label="Deleted conversations">
        {nodes.map((session) => {
          const name = session.title ?? 'Untitled'
          return (
            <li key={session.id}>
              <div>
                <span className={styles.name}>{name}</span>
                <small>
                  {countOf(session.messageCount, 'message')}
                  {session.deletedAt && `, deleted ${dayOf(session.deletedAt)}`}
                </small>
              </div>
              <Button size="small" aria-label={`Restore ${name}`} onClick={() => void restore(session.id)}>
                Restore
              </Button>
              <IconButton
                label={`Erase ${name} for good`}
                icon={icons.trash}
                size="small"
                onClick={() => setErasing(session)}
              />
            </li>
          )
        })}
      </ul>
      {pageInfo?.hasNextPage && (
        <Button size="small" onClick={() => void fetchMore({ variables: { after: pageInfo.endCursor } })}>
          Show more
        </Button>
      )}
      {erasing && (
        <PurgeDialog session={erasing} onClose={() => setErasing(null)} onPurged={() => void refetch()} />
      )}
    </Section>
  )
}
