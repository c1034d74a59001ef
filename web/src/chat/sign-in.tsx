import { type FormEvent, useState } from 'react'
import { tokenFault } from './identity.ts'
import styles from './sign-in.module.css'
import { Button } from './ui/button.tsx'
import { Field } from './ui/field.tsx'
import { Logo } from './ui/logo.tsx'

type SignInProps = {
  /** Why the page asks, such as a token that ran out. */
  reason: string | null
  /** The server's token for development, where it gives one. */
  developmentToken: string | null
  onSignIn: (token: string) => void
}

export function SignIn({ reason, developmentToken, onSignIn }: SignInProps) {
  const [text, setText] = useState('')
  const [fault, setFault] = useState(reason)

  function submit(event: FormEvent) {
    event.preventDefault()
    const token = text.trim().replace(/^bearer\s+/i, '')
    const found = tokenFault(token)
    setFault(found)
    if (!found) onSignIn(token)
  }

  return (
    <main className={styles.page}>
      <form className={styles.card} onSubmit={submit} noValidate>
        <div className={styles.head}>
          <Logo />
          <h1>Sign in to Parley</h1>
          <p>Paste a token for this server. It is kept until you close this tab.</p>
        </div>
        <Field label="Token" error={fault} hint="A JSON Web Token from whoever runs this server.">
          {(control) => (
            <textarea
              {...control}
              className={`${control.className} ${styles.token}`}
              value={text}
              onChange={(event) => setText(event.target.value)}
              spellCheck={false}
              autoComplete="off"
            />
          )}
        </Field>
        <div className={styles.actions}>
          <Button type="submit" look="primary">
            Sign in
          </Button>
          {developmentToken && (
            <Button onClick={() => onSignIn(developmentToken)}>Continue as developer</Button>
          )}
        </div>
      </form>
    </main>
  )
}
