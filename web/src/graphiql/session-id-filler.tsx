import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { useEffect } from 'react'
import type { PageStorage } from './storage.ts'
import { fillSessionId } from './tabs.ts'

type FillerProps = { sessionId: string | undefined; storage: PageStorage; onFilled: () => void }

/** Hands a session that was just created to the tabs in the background. Draws nothing. */
export function SessionIdFiller({ sessionId, storage, onFilled }: FillerProps) {
  const { tabs, activeTabIndex } = useGraphiQL(pick('tabs', 'activeTabIndex'))
  const { storeTabs } = useGraphiQLActions()
  useEffect(() => {
    if (!sessionId) return
    // Written in place: GraphiQL has actions for the tab in front only, and draws nothing of the others.
    const background = tabs.filter((_, index) => index !== activeTabIndex)
    fillSessionId(background, sessionId, storage)
    storeTabs({ tabs, activeTabIndex })
    onFilled()
  }, [sessionId, tabs, activeTabIndex, storeTabs, storage, onFilled])
  return null
}

/** The id in the result of a `createSession`, if it is one and succeeded. */
export function createdSessionId(data: unknown) {
  const { createSession } = (data ?? {}) as { createSession?: { session?: { id?: unknown } } }
  const id = createSession?.session?.id
  return typeof id === 'string' ? id : undefined
}
