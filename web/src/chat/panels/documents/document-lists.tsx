import { useState } from 'react'
import type { DocumentsQuery } from '../../../generated/graphql.ts'
import { useLimits } from '../../limits.ts'
import { Button } from '../../ui/button.tsx'
import { DropZone } from '../drop-zone.tsx'
import { FaultNote } from '../fault-note.tsx'
import { bytesInWords } from '../numbers.ts'
import { Nothing, Section } from '../section.tsx'
import { DeleteDocumentDialog } from './delete-document-dialog.tsx'
import { DocumentRow } from './document-row.tsx'
import styles from './documents.module.css'
import { acceptedFiles } from './file.ts'
import { UploadRow } from './upload-row.tsx'
import { useAttaching } from './use-attaching.ts'
import { useUploads } from './use-uploads.ts'

type Props = {
  sessionId: string
  data: DocumentsQuery
  /** Reads the lists anew. */
  refetch: () => Promise<{ data?: DocumentsQuery | undefined }>
  /** Reads the next page of documents; missing where there is none. */
  loadMore?: () => Promise<unknown>
}

export function DocumentLists({ sessionId, data, refetch, loadMore }: Props) {
  const { viewer, session, documents } = data
  const { setAttached, asked, fault } = useAttaching(sessionId, refetch)
  const limits = useLimits()
  const [leaving, setLeaving] = useState<{ id: string; title: string } | null>(null)
  const { uploads, add, retry, dismiss } = useUploads((id) => setAttached(id, true))

  if (!session) return null
  const mayChange = session.viewerRole !== 'VIEWER'
  const attachedIds = new Set(session.documents.map(({ id }) => id))
  const others = documents.nodes.filter(({ id }) => !attachedIds.has(id))
  const rowOf = (document: (typeof others)[number]) => (
    <DocumentRow
      key={document.id}
      document={document}
      isAttached={asked.get(document.id) ?? attachedIds.has(document.id)}
      {...(mayChange && { onAttach: (isAttached: boolean) => void setAttached(document.id, isAttached) })}
      {...((document.user.id === viewer.user.id || viewer.role === 'ADMIN') && {
        onDelete: () => setLeaving(document),
      })}
    />
  )

  return (
    <>
      <Section title="In this conversation">
        {mayChange && (
          <DropZone title="Add documents" accept={acceptedFiles} takesSeveral onFiles={add}>
            Drop files here or choose them: PDF, Markdown or text
            {limits && `, up to ${bytesInWords(limits.documentMaxBytes)} each`}.
          </DropZone>
        )}
        <FaultNote fault={fault} />
        {session.documents.length + uploads.length === 0 ? (
          <Nothing>Replies draw on the documents that are in use here, and cite the passages.</Nothing>
        ) : (
          <ul className={styles.list} aria-label="Documents of this conversation">
            {session.documents.map(rowOf)}
            {uploads.map((upload) => (
              <UploadRow
                key={upload.key}
                upload={upload}
                onRetry={() => retry(upload)}
                onDismiss={() => dismiss(upload.key)}
              />
            ))}
          </ul>
        )}
      </Section>
      {others.length > 0 && (
        <Section title="Other documents">
          <ul className={styles.list} aria-label="Other documents">
            {others.map(rowOf)}
          </ul>
          {loadMore && <Button onClick={() => void loadMore()}>Show more</Button>}
        </Section>
      )}
      {leaving && (
        <DeleteDocumentDialog
          document={leaving}
          onClose={() => setLeaving(null)}
          onDeleted={() => void refetch()}
        />
      )}
    </>
  )
}
