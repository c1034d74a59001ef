import { useApolloClient } from '@apollo/client/react'
import { navigate } from '../../route.ts'
import { useToast } from '../../ui/toast.tsx'
import { useAction } from '../action.ts'
import { DeletedSessionsQuery, DeleteSession, RestoreSession } from './operations.ts'

/** Deletes a session with a way back in the note that tells of it. */
export function useDeletion() {
  const toast = useToast()
  const client = useApolloClient()
  const deletion = useAction(DeleteSession)
  const restoring = useAction(RestoreSession, { onFault: ({ message }) => toast({ text: message }) })
  const readTrash = () => client.refetchQueries({ include: [DeletedSessionsQuery] })

  async function restore(sessionId: string): Promise<boolean> {
    const restored = await restoring.run({ input: { sessionId } })
    if (!restored) return false
    await readTrash()
    navigate({ sessionId })
    return true
  }

  async function remove({ id, title }: { id: string; title: string | null }): Promise<boolean> {
    if (!(await deletion.run({ input: { sessionId: id } }))) return false
    await readTrash()
    toast({
      text: `“${title ?? 'Untitled'}” is deleted.`,
      action: { label: 'Undo', onSelect: () => void restore(id) },
    })
    return true
  }

  return {
    remove,
    restore,
    isBusy: deletion.isBusy || restoring.isBusy,
    fault: deletion.fault,
  }
}
