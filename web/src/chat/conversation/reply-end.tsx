import { useQuery } from '@apollo/client/react'
import type { SessionMessage } from '@parley/client/apollo'
import { graphql } from '../../generated/gql.ts'
import { Button } from '../ui/button.tsx'
import styles from './message.module.css'
import type { MessageActions } from './message-actions.ts'

const failureQuery = graphql(`
  query ReplyFailure($messageId: ID!) {
    message(id: $messageId) {
      id
      run {
        id
        error {
          code
          message
        }
      }
    }
  }
`)

type ReplyEndProps = { message: SessionMessage; actions: MessageActions }

/** What became of a reply that did not end by itself, and a way to have it again. */
export function ReplyEnd({ message: { id, status, finishReason }, actions }: ReplyEndProps) {
  const { data } = useQuery(failureQuery, { variables: { messageId: id }, skip: status !== 'FAILED' })
  const note = noteOf(status, finishReason, data?.message?.run?.error?.message)
  if (!note) return null
  const isFailure = status === 'FAILED' || status === 'INTERRUPTED'
  return (
    <div className={isFailure ? styles.notice : `${styles.notice} ${styles.mild}`}>
      <span>{note}</span>
      {isFailure && actions.canWrite && (
        <Button size="small" onClick={() => actions.regenerate(id)}>
          Try again
        </Button>
      )}
    </div>
  )
}

function noteOf(
  status: SessionMessage['status'],
  finishReason: SessionMessage['finishReason'],
  error: string | undefined,
) {
  if (status === 'FAILED') return error ?? 'The reply failed.'
  if (status === 'INTERRUPTED') return 'The server stopped while it was answering. What was written is kept.'
  if (status === 'CANCELLED') return 'Stopped.'
  if (finishReason === 'LENGTH') return 'The reply reached the model’s limit and is cut off.'
  if (finishReason === 'CONTENT_FILTER') return 'The model’s filter ended the reply.'
  return null
}
