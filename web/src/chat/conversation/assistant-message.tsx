import type { SessionMessage, SessionRun } from '@parley/client/apollo'
import { useMessageDetails } from '../message-details.ts'
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
import { useVersion } from './use-version.tsx'

type AssistantMessageProps = {
  message: SessionMessage
  /** Messages of tools in the conversation, which answer its calls. */
  results: readonly SessionMessage[]
  /** The run that waits for results of its calls. */
  waitingRun: SessionRun | null
  actions: MessageActions
}

export function AssistantMessage({ message, results, waitingRun, actions }: AssistantMessageProps) {
  const { id, content, status, toolCalls } = message
  const isStreaming = status === 'STREAMING'
  const details = useMessageDetails(id, !isStreaming)
  const { earlier, steps } = useVersion(id, details)
  if (earlier)
    return (
      <>
        <Markdown text={earlier.content ?? ''} />
        <div className={styles.actions}>
          {steps}
          <CopyButton text={earlier.content ?? ''} label="Copy reply" />
          <ForkButton onClick={() => actions.fork(earlier.id)} />
          <time className={styles.meta} dateTime={earlier.createdAt} title={fullTime(earlier.createdAt)}>
            {shortTime(earlier.createdAt)} · earlier version
          </time>
        </div>
      </>
    )
  return (
    <>
      {content ? <Markdown text={content} /> : isStreaming && toolCalls.length === 0 && <OnItsWay />}
      {toolCalls.length > 0 && (
        <ToolCalls calls={toolCalls} results={results} waitingRun={actions.canWrite ? waitingRun : null} />
      )}
      {content && details && <Citations messageId={id} citations={details.citations} />}
      <ReplyEnd message={message} actions={actions} />
      {/* Kept free while the text grows, so that nothing moves when it ends. */}
      <div className={styles.actions}>
        {!isStreaming && (
          <>
            {steps}
            {content && <CopyButton text={content} label="Copy reply" />}
            {actions.canWrite && (
              <IconButton
                label="Answer again"
                icon={icons.retry}
                size="small"
                onClick={() => actions.regenerate(id)}
              />
            )}
            <ForkButton onClick={() => actions.fork(id)} />
            <Facts message={message} />
          </>
        )}
      </div>
    </>
  )
}

const OnItsWay = () => (
  <div className={styles.waiting}>
    <i />
    <i />
    <i />
    <span className="visually-hidden">The reply is on its way</span>
  </div>
)

const ForkButton = ({ onClick }: { onClick: () => void }) => (
  <IconButton
    label="Go on from here in a new conversation"
    icon={icons.fork}
    size="small"
    onClick={onClick}
  />
)

const Facts = ({ message: { createdAt, model, outputTokens } }: { message: SessionMessage }) => (
  <time className={styles.meta} dateTime={createdAt} title={fullTime(createdAt)}>
    {[shortTime(createdAt), model, outputTokens && `${outputTokens} tokens`].filter(Boolean).join(' · ')}
  </time>
)
