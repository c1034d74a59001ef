import { useQuery } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { ModelForm } from './model-form.tsx'
import { ModelSettingsQuery } from './operations.ts'

export function ModelPanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(ModelSettingsQuery, { variables: { sessionId }, ...readAnew })
  return (
    <Loaded result={result}>
      {({ session, models }) => session && <ModelForm key={session.id} session={session} models={models} />}
    </Loaded>
  )
}
