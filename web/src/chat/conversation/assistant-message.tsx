import type { SessionMessage, SessionRun } from '@parley/client/apollo'
import { Citations } from '../panels/citations/citations.tsx'
import { fullTime, shortTime } from '../times.ts'
import { IconButton } from '../ui/button.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import { icons } from '../ui/icons.tsx'
import { Markdown } from './markdown.tsx'
import styles from './message.module.css'
import type { MessageActions } from './message-actions.ts'
import { ReplyEnd } from './reply-end.tsx'
import { ToolCalls } from './tool-calls.tsx'

type AssistantMessageProps = {
  message: SessionMessage
  /** Messages of tools in the conversation, which answer its calls. */
  results: readonly SessionMessage[]
  /** The run that waits for results of its calls. */
  waitingRun: SessionRun | null
  actions: MessageActions
}

export function AssistantMessage({ message, results, waitingRun, actions }: AssistantMessageProps) {
  const { id, content, status, toolCalls, createdAt, model, outputTokens } = message
  const isStreaming = status === 'STREAMING'
  return (
    <>
      {content ? (
        <Markdown text={content} />
      ) : (
        isStreaming &&
        toolCalls.length === 0 && (
          <div className={styles.waiting}>
            <i />
            <i />
            <i />
            <span className="visually-hidden">The reply is on its way</span>
          </div>
        )
      )}
      {toolCalls.length > 0 && (
        <ToolCalls calls={toolCalls} results={results} waitingRun={actions.canWrite ? waitingRun : null} />
      )}
      {content && !isStreaming && <Citations messageId={id} />}
      <ReplyEnd message={message} actions={actions} />
      {/* Kept free while the text grows, so that nothing moves when it ends. */}
      <div className={styles.actions}>
        {!isStreaming && (
          <>
            {content && <CopyButton text={content} label="Copy reply" />}
            {actions.canWrite && (
              <IconButton
                label="Answer again"
                icon={icons.retry}
                size="small"
                onClick={() => actions.regenerate(id)}
              />
            )}
            <IconButton
              label="Go on from here in a new conversation"
              icon={icons.fork}
              size="small"
              onClick={() => actions.fork(id)}
            />
            <time className={styles.meta} dateTime={createdAt} title={fullTime(createdAt)}>
              {[shortTime(createdAt), model, outputTokens && `${outputTokens} tokens`]
                .filter(Boolean)
                .join(' · ')}
            </time>
          </>
        )}
      </div>
    </>
  )
}
