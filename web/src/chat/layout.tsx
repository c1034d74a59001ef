import { ApolloProvider } from '@apollo/client/react'
import { createParleyApollo, parleyOf } from '@parley/client/apollo'
import { lazy, Suspense, useEffect, useState } from 'react'
import { ConnectionBanner } from './connection-banner.tsx'
import { Conversation } from './conversation/conversation.tsx'
import { loadConfig, storedToken } from './identity.ts'
import styles from './layout.module.css'
import { Drawer } from './panels/drawer.tsx'
import { panels } from './panels/list.ts'
import { useRoute } from './route.ts'
import { Sidebar } from './sidebar/sidebar.tsx'
import { StartPage } from './start/start-page.tsx'
import { useIsNarrow } from './ui/use-is-narrow.ts'

const SearchDialog = lazy(() => import('./search/search-dialog.tsx'))

type LayoutProps = {
  endpoint: string
  token: string
  /** With the reason, where it was not the person's own wish. */
  onSignOut: (reason: string | null) => void
}

/** One person's view of the server. */
export function Layout({ endpoint, token, onSignOut }: LayoutProps) {
  const [client] = useState(() => createParleyApollo({ url: endpoint, token: tokensFrom(token, onSignOut) }))
  useEffect(() => () => parleyOf(client).close(), [client])
  return (
    <ApolloProvider client={client}>
      <Panes onSignOut={onSignOut} />
    </ApolloProvider>
  )
}

/**
 * Gives the token of the sign-in first. Being asked for another means that the server has refused that: whoever had the
 * server's own for development gets the next one, all others sign in again.
 */
function tokensFrom(signedInWith: string, onSignOut: LayoutProps['onSignOut']) {
  let given: string | null = null
  return async () => {
    const isDevelopment = given !== null && storedToken() === null
    const next = given === null ? signedInWith : isDevelopment ? (await loadConfig()).token : null
    if (next === null || next === given)
      onSignOut('The server does not take this token, or not any more. Sign in with another one.')
    else given = next
    return given ?? signedInWith
  }
}

/** Sidebar, conversation and the open panel, side by side; on a phone one over the other. */
function Panes({ onSignOut }: Pick<LayoutProps, 'onSignOut'>) {
  const { sessionId, panel: panelId } = useRoute()
  const [isListOpen, setListOpen] = useState(false)
  const [isSearching, setSearching] = useState(false)
  const panel = panels.find(({ id }) => id === panelId)
  const isNarrow = useIsNarrow()
  const isCovered = isNarrow && (isListOpen || (panel !== undefined && sessionId !== null))

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey) || event.altKey) return
      event.preventDefault()
      setSearching(true)
    }
    addEventListener('keydown', listen)
    return () => removeEventListener('keydown', listen)
  }, [])

  // Over a phone's screen it would hide what was opened.
  // biome-ignore lint/correctness/useExhaustiveDependencies: whichever it is that was opened
  useEffect(() => setListOpen(false), [sessionId])

  const openList = () => setListOpen(true)
  return (
    <div className={styles.layout}>
      <Sidebar
        isOpen={isListOpen}
        onClose={() => setListOpen(false)}
        onSearch={() => setSearching(true)}
        onSignOut={() => onSignOut(null)}
      />
      <main className={styles.main} inert={isCovered}>
        <ConnectionBanner />
        {sessionId ? (
          <Conversation key={sessionId} sessionId={sessionId} onOpenList={openList} />
        ) : (
          <StartPage onOpenList={openList} />
        )}
      </main>
      {panel && sessionId && <Drawer panel={panel} sessionId={sessionId} />}
      {isSearching && (
        <Suspense>
          <SearchDialog onClose={() => setSearching(false)} />
        </Suspense>
      )}
    </div>
  )
}
