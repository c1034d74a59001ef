import type { LiveSession, Reply, SessionMessage } from '@parley/client/apollo'
import { useDeferredValue, useEffect, useMemo, useRef } from 'react'
import { Button } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { useFollowScroll } from './follow-scroll.ts'
import type { MessageActions } from './message-actions.ts'
import styles from './message-list.module.css'
import { MessageRow } from './message-row.tsx'
import { PendingMessage } from './pending-message.tsx'

type MessageListProps = {
  live: LiveSession
  /** What of the session's messages is shown here: not those that wait for their turn. */
  messages: readonly SessionMessage[]
  reply: Reply
  viewerId: string | undefined
  editingId: string | null
  /** The message that the address names. */
  pointedOutId: string | null
  actions: MessageActions
}

const noResults: readonly SessionMessage[] = []

export function MessageList(props: MessageListProps) {
  const { live, messages, reply, viewerId, editingId, pointedOutId, actions } = props
  const { hasOlder, isLoadingOlder, loadOlder } = live
  // Earlier messages may take their time to be drawn; what is written now may not.
  const deferred = useDeferredValue(messages)
  const drawn = messages[0]?.id === deferred[0]?.id ? messages : deferred
  const results = useToolResults(drawn)
  const rows = drawn.filter(({ role }) => role === 'USER' || role === 'ASSISTANT')
  const { scroller, content, isAtEnd, scrollToEnd, scrollTo } = useFollowScroll(rows[0]?.id)
  const top = useRef<HTMLDivElement>(null)
  const { activeRun } = live.session ?? {}
  const waitingRun = activeRun?.status === 'REQUIRES_ACTION' ? activeRun : null

  useEffect(() => {
    const [mark, root] = [top.current, scroller.current]
    if (!mark || !root || !hasOlder) return
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) void loadOlder().catch(() => {})
      },
      { root, rootMargin: '800px 0px 0px' },
    )
    observer.observe(mark)
    return () => observer.disconnect()
  }, [hasOlder, loadOlder, scroller])

  const isPointedOutThere = rows.some(({ id }) => id === pointedOutId)
  useEffect(() => {
    if (!pointedOutId) return
    const part = isPointedOutThere ? document.getElementById(pointedOutId) : null
    if (part) scrollTo(part)
    else if (hasOlder) void loadOlder().catch(() => {})
  }, [pointedOutId, isPointedOutThere, hasOlder, loadOlder, scrollTo])

  // Whoever sends wants to see what comes.
  const lastPending = reply.pending.at(-1)?.clientId
  useEffect(() => {
    if (lastPending) scrollToEnd()
  }, [lastPending, scrollToEnd])

  return (
    <div className={styles.frame}>
      <div
        ref={scroller}
        className={styles.scroller}
        role="log"
        aria-live="off"
        aria-label="Messages"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard
        tabIndex={0}
      >
        <div ref={content}>
          {/* Its room stays, so that nothing moves when there is no more. */}
          <div ref={top} className={styles.older}>
            {isLoadingOlder && 'Loading earlier messages…'}
          </div>
          {rows.map((message) => (
            <MessageRow
              key={message.id}
              message={message}
              results={message.toolCalls.length > 0 ? results : noResults}
              waitingRun={message.id === waitingRun?.assistantMessage.id ? waitingRun : null}
              viewerId={viewerId}
              isEditing={message.id === editingId}
              isPointedOut={message.id === pointedOutId}
              actions={actions}
            />
          ))}
          {reply.pending.map((send) => (
            <PendingMessage
              key={send.clientId}
              send={send}
              onRetry={() => reply.retry(send.clientId)}
              onDiscard={() => reply.discard(send.clientId)}
            />
          ))}
        </div>
      </div>
      {!isAtEnd && (
        <Button size="small" className={styles.latest} onClick={scrollToEnd}>
          {icons.down} Jump to latest
        </Button>
      )}
    </div>
  )
}

/** Messages of tools; the same list as long as none comes or goes. */
function useToolResults(messages: readonly SessionMessage[]) {
  const results = messages.filter(({ role }) => role === 'TOOL')
  // biome-ignore lint/correctness/useExhaustiveDependencies: the ids stand for the messages
  return useMemo(() => results, [results.map(({ id }) => id).join()])
}
