import '../chat/styles/tokens.css'
import '../chat/styles/base.css'
import { createRoot } from 'react-dom/client'
import { storeToken } from '../chat/identity.ts'
import { SignIn } from '../chat/sign-in.tsx'

/** Asks for a token, and opens the page anew with it: without these styles, which are not the editor's. */
export function showSignIn(root: HTMLElement, reason: string | null) {
  const signIn = (token: string) => {
    storeToken(token)
    location.reload()
  }
  createRoot(root).render(<SignIn reason={reason} developmentToken={null} onSignIn={signIn} />)
}
