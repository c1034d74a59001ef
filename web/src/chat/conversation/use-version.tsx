import { useApolloClient } from '@apollo/client/react'
import { type ReactNode, useState } from 'react'
import { graphql } from '../../generated/gql.ts'
import type { MessageVersionQuery } from '../../generated/graphql.ts'
import type { MessageDetails } from '../message-details.ts'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { useToast } from '../ui/toast.tsx'
import styles from './message.module.css'

const versionQuery = graphql(`
  query MessageVersion($id: ID!) {
    message(id: $id) {
      id
      content
      createdAt
      run {
        id
        assistantMessage {
          id
          content
        }
      }
    }
  }
`)

export type EarlierVersion = NonNullable<MessageVersionQuery['message']>

type Version = {
  /** The one that is looked at; null where that is the message itself. */
  earlier: EarlierVersion | null
  /** Steps through the versions; null where there is one only. */
  steps: ReactNode
}

/** Which version of a message is looked at: itself at first, or one that an edit or a new answer replaced. */
export function useVersion(messageId: string, details: MessageDetails | null): Version {
  const client = useApolloClient()
  const toast = useToast()
  const [earlier, setEarlier] = useState<EarlierVersion | null>(null)
  const shownId = earlier?.id ?? messageId
  const versions = details?.versions ?? []
  const index = versions.findIndex(({ id }) => id === shownId)
  // While the details are asked for anew, what is looked at stays.
  if (versions.length < 2 || index < 0) return { earlier: details ? null : earlier, steps: null }

  async function show(id: string) {
    if (id === messageId) return setEarlier(null)
    try {
      const { data } = await client.query({ query: versionQuery, variables: { id } })
      setEarlier(data?.message ?? null)
    } catch (error) {
      toast({ text: (error as Error).message })
    }
  }

  const step = (by: number) => {
    const next = versions[index + by]
    return next ? { onClick: () => void show(next.id) } : { disabled: true }
  }
  const steps = (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className={styles.versions} role="group" aria-label="Versions">
      <IconButton label="Earlier version" icon={icons.previous} size="small" {...step(-1)} />
      <span role="status" aria-label={`Version ${index + 1} of ${versions.length}`}>
        {`${index + 1} / ${versions.length}`}
      </span>
      <IconButton label="Later version" icon={icons.next} size="small" {...step(1)} />
    </div>
  )
  return { earlier, steps }
}
