import './workers.ts'
import '@graphiql/react/font/fira-code.css'
import '@graphiql/react/style.css'
import '@graphiql/plugin-doc-explorer/style.css'
import '@graphiql/plugin-history/style.css'
import 'graphiql/graphiql.css'
import './page.css'
import { tryParseJSONC } from '@graphiql/react'
import { GraphiQL } from 'graphiql'
import { useCallback, useReducer, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { storeToken } from '../chat/identity.ts'
import { createFetcher } from './fetcher.ts'
import { appendEvent, LiveReply, type Reply } from './live-reply.tsx'
import { createdSessionId, SessionIdFiller } from './session-id-filler.tsx'
import { createPageStorage, type PageStorage } from './storage.ts'
import { initialTabs } from './tabs.ts'

type EditorOptions = {
  endpoint: string
  /** Put into the Headers tab, to be seen and changed. */
  developmentToken: string | null
  /** Of somebody who signed in: never shown, and never written to disk. */
  token: string | null
}

export function showEditor(root: HTMLElement, { endpoint, developmentToken, token }: EditorOptions) {
  const { storage, keepsHeaders } = createPageStorage(localStorage, developmentToken)
  const tabs = initialTabs(storage, developmentToken)
  createRoot(root).render(<Editor {...{ endpoint, token, storage, keepsHeaders, tabs }} />)
}

type EditorProps = Pick<EditorOptions, 'endpoint' | 'token'> & {
  storage: PageStorage
  keepsHeaders: boolean
  tabs: ReturnType<typeof initialTabs>
}

function Editor({ endpoint, token, storage, keepsHeaders, tabs }: EditorProps) {
  const [reply, updateReply] = useReducer(nextReply, undefined)
  const [sessionId, setSessionId] = useState<string>()
  const forgetSessionId = useCallback(() => setSessionId(undefined), [])
  const [fetcher] = useState(() =>
    createFetcher({
      endpoint,
      token,
      initialHeaders: readHeaders(tabs.initialHeaders),
      onStart: () => updateReply('start'),
      onResult: ({ data }) => {
        updateReply(data ?? {})
        const created = createdSessionId(data)
        if (created) setSessionId(created)
      },
    }),
  )
  return (
    <GraphiQL
      {...tabs}
      fetcher={fetcher}
      storage={storage}
      shouldPersistHeaders={keepsHeaders}
      showPersistHeadersSettings
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>
        Parley
        {token && (
          <button type="button" className="graphiql-un-styled sign-out" onClick={signOut}>
            Sign out
          </button>
        )}
      </GraphiQL.Logo>
      <GraphiQL.Footer>
        <SessionIdFiller sessionId={sessionId} storage={storage} onFilled={forgetSessionId} />
        <LiveReply reply={reply} />
      </GraphiQL.Footer>
    </GraphiQL>
  )
}

function signOut() {
  storeToken(null)
  location.reload()
}

function nextReply(reply: Reply | undefined, news: 'start' | Record<string, unknown>) {
  return news === 'start' ? undefined : Object.values(news).reduce(appendEvent, reply)
}

/** Nothing where the user left the Headers tab broken: GraphiQL says so when they run something. */
function readHeaders(text: string) {
  try {
    return tryParseJSONC(text) ?? {}
  } catch {
    return {}
  }
}
