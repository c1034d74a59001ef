import { useApolloClient } from '@apollo/client/react'
import { useSyncExternalStore } from 'react'
import type { Status } from '../status.ts'
import { parleyOf } from './client.ts'

/** How the live operations of the page do, such as for a note that it is cut off. */
export function useStatus(): Status {
  const { onStatus, status } = parleyOf(useApolloClient())
  return useSyncExternalStore(onStatus, status, status)
}
