import { useQuery } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { DocumentLists } from './document-lists.tsx'
import { DocumentsQuery } from './operations.ts'

export function DocumentsPanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(DocumentsQuery, { variables: { sessionId }, ...readAnew })
  const { hasNextPage, endCursor: after } = result.data?.documents.pageInfo ?? {}

  return (
    <Loaded result={result}>
      {(data) => (
        <DocumentLists
          {...{ sessionId, data }}
          refetch={() => result.refetch()}
          {...(hasNextPage && { loadMore: () => result.fetchMore({ variables: { after } }) })}
        />
      )}
    </Loaded>
  )
}
