import { useSessions } from '@parley/client/apollo'
import { useState } from 'react'
import { useRoute } from '../route.ts'
import { periodOf } from '../times.ts'
import { Button } from '../ui/button.tsx'
import { EmptyState } from '../ui/empty-state.tsx'
import { icons } from '../ui/icons.tsx'
import { Skeleton } from '../ui/skeleton.tsx'
import { useToast } from '../ui/toast.tsx'
import { SessionItem } from './session-item.tsx'
import styles from './session-list.module.css'

/** The viewer's conversations, the latest first, kept live. */
export function SessionList({ onChoose }: { onChoose: () => void }) {
  const { sessionId } = useRoute()
  const { sessions, isLoading, error, hasMore, loadMore, reload } = useSessions()
  const [isLoadingMore, setLoadingMore] = useState(false)
  const toast = useToast()

  async function more() {
    setLoadingMore(true)
    await loadMore().catch((error: Error) => toast({ text: error.message }))
    setLoadingMore(false)
  }

  if (isLoading) return <Skeleton label="Loading conversations" lines={8} />
  if (error)
    return (
      <EmptyState icon={icons.warning} title="No list" text={error.message}>
        <Button size="small" onClick={() => void reload().catch(() => {})}>
          Try again
        </Button>
      </EmptyState>
    )
  if (sessions.length === 0)
    return (
      <EmptyState
        icon={icons.chat}
        title="Nothing here yet"
        text="Conversations appear here as soon as you say the first word."
      />
    )
  const periods = Map.groupBy(sessions, ({ lastMessageAt, createdAt }) =>
    periodOf(lastMessageAt ?? createdAt),
  )
  return (
    <div className={styles.list}>
      {[...periods].map(([period, members]) => (
        <section key={period} aria-label={period}>
          <h2 className={styles.period}>{period}</h2>
          <ul className={styles.items}>
            {members.map((session) => (
              <SessionItem
                key={session.id}
                session={session}
                isSelected={session.id === sessionId}
                onChoose={onChoose}
              />
            ))}
          </ul>
        </section>
      ))}
      {hasMore && (
        <div className={styles.more}>
          <Button size="small" look="quiet" disabled={isLoadingMore} onClick={() => void more()}>
            {isLoadingMore ? 'Loading…' : 'Load more'}
          </Button>
        </div>
      )}
    </div>
  )
}
