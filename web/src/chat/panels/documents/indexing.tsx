import { useSubscription } from '@apollo/client/react'
import { Progress } from '../progress.tsx'
import { DocumentIndexed } from './operations.ts'

/** Keeps a document up to date while it is indexed, and shows how far that is. */
export function Indexing({ id, title, progress }: { id: string; title: string; progress: number }) {
  useSubscription(DocumentIndexed, { variables: { id } })
  return <Progress label={`Indexing ${title}`} share={progress} text="Indexing" />
}
