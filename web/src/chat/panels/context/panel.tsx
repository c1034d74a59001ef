import { useQuery } from '@apollo/client/react'
import { useSessionChanges } from '@parley/client/apollo'
import { useState } from 'react'
import { drafts } from '../../conversation/drafts.ts'
import { Field } from '../../ui/field.tsx'
import { Skeleton } from '../../ui/skeleton.tsx'
import { useSettled } from '../../ui/use-settled.ts'
import { Loaded } from '../loaded.tsx'
import { countOf } from '../numbers.ts'
import { readAnew } from '../read-anew.ts'
import { Note, Nothing } from '../section.tsx'
import { useRole } from '../use-role.ts'
import { BudgetBar } from './budget-bar.tsx'
import styles from './context.module.css'
import { ContextPreviewQuery } from './operations.ts'
import { Parts } from './parts.tsx'

/** After them the next send would carry something else. */
const changes = ['RunFinished', 'MemoryChanged', 'MessageAdded', 'MessageRemoved', 'SessionSnapshot'] as const

const countedBy = {
  TOKENIZER: 'Counted with the tokenizer of the model.',
  MEASURED_RATIO: 'Estimated by what the provider counted for earlier requests.',
  DEFAULT_RATIO: 'Estimated by four characters a token.',
}

export function ContextPanel({ sessionId }: { sessionId: string }) {
  const role = useRole(sessionId)
  if (role === 'VIEWER')
    return <Nothing>Only who may write here can see what the next message carries.</Nothing>
  return role ? <ContextPreview sessionId={sessionId} /> : <Skeleton label="Loading" />
}

function ContextPreview({ sessionId }: { sessionId: string }) {
  // Begins with what is being written in the conversation.
  const [content, setContent] = useState(() => drafts.get(sessionId) ?? '')
  const variables = { sessionId, content: useSettled(content.trim()) || null }
  const result = useQuery(ContextPreviewQuery, { variables, ...readAnew })
  useSessionChanges(sessionId, changes, () => result.refetch())
  const shown = { ...result, data: result.data ?? result.previousData }

  return (
    <div className={styles.context}>
      <Field label="With the message" hint="Shows what the model would get, without sending it.">
        {(control) => (
          <textarea
            {...control}
            rows={2}
            value={content}
            onChange={({ target }) => setContent(target.value)}
            placeholder="What you would send, or nothing yet"
          />
        )}
      </Field>
      <Loaded result={shown}>
        {({ session }) => {
          if (!session) return null
          const { parts, dropped, ...preview } = session.contextPreview
          return (
            <>
              <BudgetBar parts={parts} totalTokens={preview.totalTokens} limit={preview.limit} />
              {dropped.turns > 0 && (
                <p className={styles.dropped}>
                  {countOf(dropped.turns, 'older turn')} with {countOf(dropped.tokens, 'token')} left out
                  {dropped.reason === 'MESSAGES'
                    ? ', since the context policy takes no more messages'
                    : ' for want of room'}
                  . They stay in the conversation.
                </p>
              )}
              <Parts parts={parts} />
              <Note>{countedBy[preview.countedBy]}</Note>
            </>
          )
        }}
      </Loaded>
    </div>
  )
}
