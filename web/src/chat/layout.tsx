import { ApolloProvider } from '@apollo/client/react'
import { createParleyApollo, parleyOf } from '@parley/client/apollo'
import { lazy, Suspense, useEffect, useState } from 'react'
import { ConnectionBanner } from './connection-banner.tsx'
import { Conversation } from './conversation/conversation.tsx'
import styles from './layout.module.css'
import { Drawer } from './panels/drawer.tsx'
import { panels } from './panels/list.ts'
import { useRoute } from './route.ts'
import { Sidebar } from './sidebar/sidebar.tsx'
import { StartPage } from './start/start-page.tsx'

const SearchDialog = lazy(() => import('./search/search-dialog.tsx'))

type LayoutProps = {
  endpoint: string
  token: string
  /** With the reason, where it was not the person's own wish. */
  onSignOut: (reason: string | null) => void
}

/** One person's view of the server. */
export function Layout({ endpoint, token, onSignOut }: LayoutProps) {
  const [client] = useState(() => createParleyApollo({ url: endpoint, token: once(token, onSignOut) }))
  useEffect(() => () => parleyOf(client).close(), [client])
  return (
    <ApolloProvider client={client}>
      <Panes onSignOut={onSignOut} />
    </ApolloProvider>
  )
}

/** Gives the token once: being asked for another means that the server has refused it. */
function once(token: string, onSignOut: LayoutProps['onSignOut']) {
  let isGiven = false
  return () => {
    if (isGiven) onSignOut('The server does not take this token, or not any more. Sign in with another one.')
    isGiven = true
    return token
  }
}

/** Sidebar, conversation and the open panel, side by side; on a phone one over the other. */
function Panes({ onSignOut }: Pick<LayoutProps, 'onSignOut'>) {
  const { sessionId, panel: panelId } = useRoute()
  const [isListOpen, setListOpen] = useState(false)
  const [isSearching, setSearching] = useState(false)
  const panel = panels.find(({ id }) => id === panelId)

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey) || event.altKey) return
      event.preventDefault()
      setSearching(true)
    }
    addEventListener('keydown', listen)
    return () => removeEventListener('keydown', listen)
  }, [])

  const openList = () => setListOpen(true)
  return (
    <div className={styles.layout}>
      <Sidebar
        isOpen={isListOpen}
        onClose={() => setListOpen(false)}
        onSearch={() => setSearching(true)}
        onSignOut={() => onSignOut(null)}
      />
      <main className={styles.main}>
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
