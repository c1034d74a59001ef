import { useState } from 'react'
import { drafts } from './conversation/drafts.ts'
import { type PageConfig, storedToken, storeToken } from './identity.ts'
import { Layout } from './layout.tsx'
import { SignIn } from './sign-in.tsx'
import { Button } from './ui/button.tsx'
import { EmptyState } from './ui/empty-state.tsx'
import { icons } from './ui/icons.tsx'
import { ToastProvider } from './ui/toast.tsx'

/** Null where the server could not be asked. */
export function App({ config }: { config: PageConfig | null }) {
  const [token, setToken] = useState(() => storedToken() ?? config?.token ?? null)
  const [reason, setReason] = useState<string | null>(null)
  if (!config)
    return (
      <EmptyState icon={icons.warning} title="Parley cannot be reached" text="The server did not answer.">
        <Button look="primary" onClick={() => location.reload()}>
          Try again
        </Button>
      </EmptyState>
    )
  if (!token)
    return (
      <SignIn
        reason={reason}
        developmentToken={config.token}
        onSignIn={(token) => {
          storeToken(token === config.token ? null : token)
          setToken(token)
        }}
      />
    )
  const signOut = (reason: string | null) => {
    storeToken(null)
    // Whoever signs in next may be somebody else.
    drafts.clear()
    setReason(reason)
    setToken(null)
  }
  return (
    <ToastProvider>
      <Layout key={token} endpoint={config.endpoint} token={token} onSignOut={signOut} />
    </ToastProvider>
  )
}
