import { useQuery } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { ModelForm } from './model-form.tsx'
import { ModelSettingsQuery } from './operations.ts'

export function ModelPanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(ModelSettingsQuery, { variables: { sessionId }, fetchPolicy: 'cache-and-network' })
  return (
    <Loaded result={result}>
      {({ session, models }) => session && <ModelForm key={session.id} session={session} models={models} />}
    </Loaded>
  )
}
