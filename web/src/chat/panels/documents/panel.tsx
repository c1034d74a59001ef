import { useQuery } from '@apollo/client/react'
import { Loaded } from '../loaded.tsx'
import { DocumentLists } from './document-lists.tsx'
import { DocumentsQuery, IndexingQuery } from './operations.ts'

/** How often documents that are being indexed are asked for; no event tells of them. */
const pollMs = 1_000

export function DocumentsPanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(DocumentsQuery, { variables: { sessionId }, fetchPolicy: 'cache-and-network' })
  const { data } = result
  const known = [...(data?.session?.documents ?? []), ...(data?.documents.nodes ?? [])]
  const ids = [...new Set(known.filter(({ status }) => status === 'INDEXING').map(({ id }) => id))]
  useQuery(IndexingQuery, {
    variables: { ids },
    skip: ids.length === 0,
    pollInterval: pollMs,
    fetchPolicy: 'network-only',
  })
  const { hasNextPage, endCursor: after } = data?.documents.pageInfo ?? {}

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
