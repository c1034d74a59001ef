import type { SessionMessage } from '@parley/client/apollo'
import { useState } from 'react'
import { useMessageDetails } from '../message-details.ts'
import { fullTime, shortTime } from '../times.ts'
import { Avatar, nameOf } from '../ui/avatar.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import fieldStyles from '../ui/field.module.css'
import { icons } from '../ui/icons.tsx'
import { Markdown } from './markdown.tsx'
import styles from './message.module.css'
import type { MessageActions } from './message-actions.ts'
import { useVersion } from './use-version.tsx'

type UserMessageProps = {
  message: SessionMessage
  viewerId: string | undefined
  isEditing: boolean
  actions: MessageActions
}

export function UserMessage({ message, viewerId, isEditing, actions }: UserMessageProps) {
  const { id, author, editedAt } = message
  const isMine = !author || author.id === viewerId
  const details = useMessageDetails(id, editedAt !== null)
  const { earlier, steps } = useVersion(id, details)
  if (isEditing) return <EditForm message={message} actions={actions} />
  const text = (earlier ?? message).content ?? ''
  const shownAt = (earlier ?? message).createdAt
  const answer = earlier?.run?.assistantMessage
  return (
    <>
      {author && !isMine && (
        <div className={styles.author}>
          <Avatar person={author} /> {nameOf(author)}
        </div>
      )}
      <div className={styles.bubble}>{text}</div>
      <div className={styles.actions}>
        {steps}
        <CopyButton text={text} label="Copy message" />
        {answer && (
          <IconButton
            label="Go on from this version in a new conversation"
            icon={icons.fork}
            size="small"
            onClick={() => actions.fork(answer.id)}
          />
        )}
        {actions.canWrite && isMine && !earlier && (
          <IconButton
            label="Edit message"
            icon={icons.edit}
            size="small"
            onClick={() => actions.startEdit(id)}
          />
        )}
        <time className={styles.meta} dateTime={shownAt} title={fullTime(shownAt)}>
          {shortTime(shownAt)}
          {editedAt && (earlier ? ' · earlier version' : ' · edited')}
        </time>
      </div>
      {answer?.content && (
        <section className={styles.earlierAnswer} aria-label="The reply that it had">
          <h2>The reply that it had</h2>
          <Markdown text={answer.content} />
        </section>
      )}
    </>
  )
}

function EditForm({ message: { id, content }, actions }: Pick<UserMessageProps, 'message' | 'actions'>) {
  const [text, setText] = useState(content ?? '')
  const canSend = text.trim() !== '' && text !== content
  const send = () => canSend && actions.edit(id, text.trim())
  return (
    <form
      className={styles.edit}
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        // biome-ignore lint/a11y/noAutofocus: the person has just asked to edit this text
        autoFocus
        className={fieldStyles.input}
        aria-label="Edit message"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') actions.startEdit(null)
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
          event.preventDefault()
          send()
        }}
      />
      <div className={styles.editActions}>
        <span>What follows is replaced by a new reply.</span>
        <Button size="small" look="quiet" onClick={() => actions.startEdit(null)}>
          Cancel
        </Button>
        <Button size="small" look="primary" type="submit" disabled={!canSend}>
          Send
        </Button>
      </div>
    </form>
  )
}
