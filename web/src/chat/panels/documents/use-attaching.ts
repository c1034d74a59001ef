import { useRef, useState } from 'react'
import type { DocumentsQuery } from '../../../generated/graphql.ts'
import { type Fault, faultOf, useAction } from '../action.ts'
import { SetSessionDocuments } from './operations.ts'

type Refetch = () => Promise<{ data?: DocumentsQuery | undefined }>

/**
 * Gives documents to a session and takes them away, one after another, each time on the list as it is then: an update
 * names all of them anew. `asked` has what was asked for and is not stored yet.
 */
export function useAttaching(sessionId: string, refetch: Refetch) {
  const attach = useAction(SetSessionDocuments)
  const lastChange = useRef(Promise.resolve())
  const [unread, setUnread] = useState<Fault | null>(null)
  const [asked, setAsked] = useState<ReadonlyMap<string, boolean>>(new Map())

  async function change(id: string, isAttached: boolean) {
    try {
      const { data } = await refetch()
      const others = (data?.session?.documents ?? []).map((each) => each.id).filter((each) => each !== id)
      setUnread(null)
      await attach.run({ input: { sessionId, documentIds: isAttached ? [...others, id] : others } })
    } catch (error) {
      setUnread(faultOf(error))
    } finally {
      setAsked((all) => new Map([...all].filter(([each]) => each !== id)))
    }
  }

  function setAttached(id: string, isAttached: boolean): Promise<void> {
    setAsked((all) => new Map(all).set(id, isAttached))
    lastChange.current = lastChange.current.then(() => change(id, isAttached))
    return lastChange.current
  }

  return { setAttached, asked, fault: unread ?? attach.fault }
}
