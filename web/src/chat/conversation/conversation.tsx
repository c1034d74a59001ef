import { type SessionMessage, useReply, useSession } from '@parley/client/apollo'
import { useEffect, useMemo, useRef, useState } from 'react'
import { navigate, useRoute } from '../route.ts'
import { nameOf } from '../ui/avatar.tsx'
import { Button } from '../ui/button.tsx'
import { EmptyState } from '../ui/empty-state.tsx'
import { icons } from '../ui/icons.tsx'
import { Skeleton } from '../ui/skeleton.tsx'
import { useToast } from '../ui/toast.tsx'
import { useViewer } from '../viewer.ts'
import { Announcer } from './announcer.tsx'
import { Composer } from './composer.tsx'
import styles from './conversation.module.css'
import { ConversationHead } from './conversation-head.tsx'
import { useMarkRead } from './mark-read.ts'
import { MessageList } from './message-list.tsx'
import { Queue } from './queue.tsx'
import { useTellTyping } from './typing.ts'
import { useMessageActions } from './use-message-actions.ts'

type ConversationProps = { sessionId: string; onOpenList: () => void }

const none: readonly SessionMessage[] = []

/** One session, live: its messages, what waits, and the field to write in. */
export function Conversation({ sessionId, onOpenList }: ConversationProps) {
  const live = useSession(sessionId)
  const reply = useReply(sessionId)
  const { viewer } = useViewer()
  const { messageId } = useRoute()
  const toast = useToast()
  const [editingId, setEditingId] = useState<string | null>(null)
  const composer = useRef<HTMLTextAreaElement>(null)
  const { session, error, isDeleted } = live
  const viewerId = viewer?.user.id
  const canWrite = session ? session.viewerRole !== 'VIEWER' : false
  const actions = useMessageActions({ sessionId, reply, canWrite, startEdit: setEditingId })
  const tellTyping = useTellTyping(sessionId, (session?.participants.length ?? 0) > 1)
  const messages = useShownMessages(session?.messages.nodes ?? none, session?.queuedRuns)
  useMarkRead(session)

  const isThere = session !== null
  useEffect(() => {
    // A touch keyboard over what one came to read would be in the way; so would a caret that leaves what one writes elsewhere.
    const isBusy = document.activeElement?.closest('aside, input, textarea, select')
    if (isThere && !isBusy && matchMedia('(hover: hover)').matches) composer.current?.focus()
  }, [isThere])
  useEffect(() => {
    document.title = session?.title ? `${session.title} · Parley` : 'Parley'
  }, [session?.title])

  const cancel = (runId: string) => {
    reply.cancel(runId).catch((error: Error) => toast({ text: error.message }))
  }
  const move = (runId: string, position: number) => {
    reply.move(runId, position).catch((error: Error) => toast({ text: error.message }))
  }
  const head = <ConversationHead session={session} viewerId={viewerId} onOpenList={onOpenList} />

  if (isDeleted || error?.code === 'NOT_FOUND')
    return (
      <>
        {head}
        <div className={styles.place}>
          <EmptyState
            icon={icons.chat}
            title={isDeleted ? 'This conversation was deleted' : 'There is no such conversation'}
            text={isDeleted ? 'Its owner may restore it.' : 'It was deleted, or it is not shared with you.'}
          >
            <Button look="primary" onClick={() => navigate({ sessionId: null })}>
              New conversation
            </Button>
          </EmptyState>
        </div>
      </>
    )
  if (!session)
    return (
      <>
        {head}
        <div className={styles.column}>
          {error ? (
            <EmptyState icon={icons.warning} title="It could not be opened" text={error.message}>
              <Button onClick={live.retry}>Try again</Button>
            </EmptyState>
          ) : (
            <Skeleton label="Loading the conversation" lines={9} />
          )}
        </div>
      </>
    )

  const { activeRun } = session
  const typing = session.typing.filter(({ id }) => id !== viewerId).map(nameOf)
  const lastOwn = messages.findLast(
    ({ role, author }) => role === 'USER' && (!author || author.id === viewerId),
  )
  const known = new Set(session.messages.nodes.map(({ clientId }) => clientId))
  const pending = reply.pending.filter(({ clientId }) => !known.has(clientId))
  return (
    <>
      {head}
      <MessageList
        live={live}
        messages={messages}
        reply={{ ...reply, pending }}
        viewerId={viewerId}
        editingId={editingId}
        pointedOutId={messageId}
        actions={actions}
      />
      <Announcer messages={messages} />
      <div className={styles.typing} role="status">
        {typing.length > 0 && `${typing.join(' and ')} ${typing.length > 1 ? 'are' : 'is'} typing…`}
      </div>
      <Queue runs={session.queuedRuns} canWrite={canWrite} onCancel={cancel} onMove={move} />
      {error && (
        <p className={styles.readOnly} role="alert">
          {error.message} <Button onClick={live.retry}>Try again</Button>
        </p>
      )}
      {canWrite ? (
        <Composer
          ref={composer}
          label="Write a message"
          draftKey={sessionId}
          isReplying={activeRun !== null}
          onSend={(content) => reply.send(content)}
          onStop={activeRun ? () => cancel(activeRun.id) : undefined}
          onType={tellTyping}
          onEditLast={lastOwn ? () => setEditingId(lastOwn.id) : undefined}
        />
      ) : (
        <p className={styles.readOnly}>You can read this conversation, but not write in it.</p>
      )}
    </>
  )
}

type Queued = readonly { userMessage: { id: string }; assistantMessage: { id: string } }[]

/** All but those of runs that wait: they are shown above the composer. */
function useShownMessages(messages: readonly SessionMessage[], queuedRuns: Queued | undefined) {
  return useMemo(() => {
    const waiting = new Set(queuedRuns?.flatMap((run) => [run.userMessage.id, run.assistantMessage.id]))
    return waiting.size === 0 ? messages : messages.filter(({ id }) => !waiting.has(id))
  }, [messages, queuedRuns])
}
