import { useMutation } from '@apollo/client/react'
import type { SessionRun } from '@parley/client/apollo'
import { useState } from 'react'
import { graphql } from '../../generated/gql.ts'
import { Button } from '../ui/button.tsx'
import { Field } from '../ui/field.tsx'
import styles from './tool-calls.module.css'

const submitToolResults = graphql(`
  mutation SubmitToolResults($input: SubmitToolResultsInput!) {
    submitToolResults(input: $input) {
      __typename
      ... on SubmitToolResultsPayload {
        run {
          id
        }
      }
      ... on Error {
        code
        message
      }
    }
  }
`)

type Answer = { content: string; isRefused: boolean }
type ToolAnswersProps = { runId: string; pending: SessionRun['pendingToolCalls'] }

/** A run goes on once each of its calls has an answer: they are given together. */
export function ToolAnswers({ runId, pending }: ToolAnswersProps) {
  const [answers, setAnswers] = useState<Record<string, Answer>>({})
  const [submit, { loading, data, error }] = useMutation(submitToolResults)
  const fault = data && 'message' in data.submitToolResults ? data.submitToolResults.message : error?.message
  const answerOf = (id: string): Answer => answers[id] ?? { content: '', isRefused: false }
  const isComplete = pending.every(({ toolCallId }) => {
    const { content, isRefused } = answerOf(toolCallId)
    return isRefused || content.trim() !== ''
  })

  function send() {
    const results = pending.map(({ toolCallId, requiresApproval }) => {
      const { content, isRefused } = answerOf(toolCallId)
      if (isRefused && requiresApproval) return { toolCallId, approved: false }
      return {
        toolCallId,
        content: content || 'Refused.',
        ...(requiresApproval ? { approved: true } : {}),
        isError: isRefused,
      }
    })
    // A failure is shown below.
    submit({ variables: { input: { runId, results } } }).catch(() => {})
  }

  return (
    <form
      className={styles.answers}
      aria-label="Answers for tools"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      {pending.map(({ toolCallId, name, requiresApproval, arguments: values }) => {
        const answer = answerOf(toolCallId)
        const change = (change: Partial<Answer>) =>
          setAnswers({ ...answers, [toolCallId]: { ...answer, ...change } })
        return (
          <div key={toolCallId}>
            <h3>
              {requiresApproval ? 'May ' : 'What does '}
              <code>{name}</code>
              {requiresApproval ? ' be called?' : ' answer?'}
            </h3>
            <pre>{JSON.stringify(values)}</pre>
            {!answer.isRefused && (
              <Field label="Answer" hint="What the tool gave; the model reads it.">
                {(control) => (
                  <textarea
                    {...control}
                    rows={2}
                    value={answer.content}
                    onChange={(event) => change({ content: event.target.value })}
                  />
                )}
              </Field>
            )}
            <div className={styles.choices}>
              <Button size="small" look="quiet" onClick={() => change({ isRefused: !answer.isRefused })}>
                {answer.isRefused ? 'Allow after all' : 'Refuse'}
              </Button>
            </div>
          </div>
        )
      })}
      {fault && (
        <p className={styles.error} role="alert">
          {fault}
        </p>
      )}
      <div>
        <Button type="submit" look="primary" size="small" disabled={!isComplete || loading}>
          {loading ? 'Sending…' : 'Send and go on'}
        </Button>
      </div>
    </form>
  )
}
