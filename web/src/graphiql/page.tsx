import { tryParseJSONC } from '@graphiql/react'
import { GraphiQL } from 'graphiql'
import { useCallback, useReducer, useState } from 'react'
import { createFetcher } from './fetcher.ts'
import { appendEvent, LiveReply, type Reply } from './live-reply.tsx'
import { createdSessionId, SessionIdFiller } from './session-id-filler.tsx'
import type { PageStorage } from './storage.ts'
import type { initialTabs } from './tabs.ts'

type PageProps = {
  endpoint: string
  storage: PageStorage
  keepsHeaders: boolean
  tabs: ReturnType<typeof initialTabs>
}

export function Page({ endpoint, storage, keepsHeaders, tabs }: PageProps) {
  const [reply, updateReply] = useReducer(nextReply, undefined)
  const [sessionId, setSessionId] = useState<string>()
  const forgetSessionId = useCallback(() => setSessionId(undefined), [])
  const [fetcher] = useState(() =>
    createFetcher({
      endpoint,
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
      <GraphiQL.Logo>Parley</GraphiQL.Logo>
      <GraphiQL.Footer>
        <SessionIdFiller sessionId={sessionId} storage={storage} onFilled={forgetSessionId} />
        <LiveReply reply={reply} />
      </GraphiQL.Footer>
    </GraphiQL>
  )
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
