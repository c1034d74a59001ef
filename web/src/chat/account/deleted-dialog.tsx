import { useQuery } from '@apollo/client/react'
import { useState } from 'react'
import { Loaded } from '../panels/loaded.tsx'
import { countOf, dayOf } from '../panels/numbers.ts'
import { readAnew } from '../panels/read-anew.ts'
import { Note, Nothing } from '../panels/section.tsx'
import { DeletedSessionsQuery } from '../panels/settings/operations.ts'
import { PurgeDialog } from '../panels/settings/purge-dialog.tsx'
import { useDeletion } from '../panels/settings/use-deletion.ts'
import { Button, IconButton } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { icons } from '../ui/icons.tsx'
import styles from './account.module.css'

type Deleted = { id: string; title: string | null; messageCount: number }

/** The viewer's deleted sessions, which can be restored until they are erased. */
export function DeletedDialog({ onClose }: { onClose: () => void }) {
  const result = useQuery(DeletedSessionsQuery, { ...readAnew })
  const [erasing, setErasing] = useState<Deleted | null>(null)
  const { restore } = useDeletion()

  async function bringBack(sessionId: string) {
    if (await restore(sessionId)) onClose()
  }

  return (
    <Dialog title="Deleted conversations" onClose={onClose}>
      <Loaded result={result}>
        {({ sessions: { nodes, pageInfo } }) =>
          nodes.length === 0 ? (
            <Nothing>Nothing is deleted. What you delete waits here until it is erased.</Nothing>
          ) : (
            <div className={styles.deleted}>
              <Note>They are erased for good some time after they were deleted.</Note>
              <ul className={styles.rows}>
                {nodes.map(({ id, title, messageCount, deletedAt }) => {
                  const name = title ?? 'Untitled'
                  return (
                    <li key={id}>
                      <div>
                        <span className={styles.name}>{name}</span>
                        <small>
                          {countOf(messageCount, 'message')}
                          {deletedAt && `, deleted ${dayOf(deletedAt)}`}
                        </small>
                      </div>
                      <Button size="small" aria-label={`Restore ${name}`} onClick={() => void bringBack(id)}>
                        Restore
                      </Button>
                      <IconButton
                        label={`Erase ${name} for good`}
                        icon={icons.trash}
                        size="small"
                        onClick={() => setErasing({ id, title, messageCount })}
                      />
                    </li>
                  )
                })}
              </ul>
              {pageInfo.hasNextPage && (
                <Button onClick={() => void result.fetchMore({ variables: { after: pageInfo.endCursor } })}>
                  Show more
                </Button>
              )}
            </div>
          )
        }
      </Loaded>
      {erasing && (
        <PurgeDialog
          session={erasing}
          onClose={() => setErasing(null)}
          onPurged={() => void result.refetch()}
        />
      )}
    </Dialog>
  )
}
