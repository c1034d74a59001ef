import type { ReactNode } from 'react'
import { Button } from '../ui/button.tsx'
import { EmptyState } from '../ui/empty-state.tsx'
import { icons } from '../ui/icons.tsx'
import { Skeleton } from '../ui/skeleton.tsx'
import { faultOf } from './action.ts'

type Props<Data> = {
  /** What a query gave, as Apollo's hook returns it. */
  result: { data?: Data | undefined; error?: Error | undefined; refetch: () => Promise<unknown> }
  children: (data: Data) => ReactNode
}

/** What a query gave; until then that it is on its way, or why it did not come and a way to try again. */
export function Loaded<Data>({ result: { data, error, refetch }, children }: Props<Data>) {
  if (data) return <>{children(data)}</>
  if (!error) return <Skeleton label="Loading" />
  return (
    <div role="alert">
      <EmptyState icon={icons.warning} title="This could not be read" text={faultOf(error).message}>
        {/* What comes of it shows in the result. */}
        <Button onClick={() => void refetch().catch(() => {})}>Try again</Button>
      </EmptyState>
    </div>
  )
}
