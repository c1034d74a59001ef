import type { FieldMergeFunction, Reference } from '@apollo/client'

type PageInfo = Record<string, unknown>
export type CachedPage = {
  nodes?: readonly Reference[]
  edges?: readonly object[]
  pageInfo?: PageInfo
  totalCount?: number
}

const refOf = (item: object) => ('__ref' in item ? item.__ref : JSON.stringify(item))

/** The first of each that is the same, in order. */
function unique<Item extends object>(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [refOf(item), item])).values()]
}

/** The next or previous page is put behind or before what is there; a page from the start begins the list anew. */
export const mergePages: FieldMergeFunction<CachedPage> = (known, incoming, { args }) => {
  if (!known || !(args?.after || args?.before || args?.offset)) return incoming
  const [head, tail] = args.before ? [incoming, known] : [known, incoming]
  return {
    ...known,
    ...incoming,
    ...(incoming.nodes && { nodes: unique([...(head.nodes ?? []), ...(tail.nodes ?? [])]) }),
    ...(incoming.edges && { edges: unique([...(head.edges ?? []), ...(tail.edges ?? [])]) }),
    ...joinedPageInfo(head, tail),
  }
}

/**
 * Messages stand by their `seq`, whatever way they came: a page replaces what lies in its range, up to the end of the
 * conversation where it is the last one, and leaves alone what is older.
 */
export const mergeBySeq: FieldMergeFunction<CachedPage> = (known, incoming, options) => {
  const { args, readField } = options
  if (!known?.nodes || !incoming.nodes || args?.orderBy === 'SEQ_DESC')
    return mergePages(known, incoming, options)
  if (args?.after || args?.offset) return mergePages(known, incoming, options)
  const seqOf = (node: Reference) => readField<number>('seq', node) ?? 0
  const first = incoming.nodes[0]
  const older = first ? known.nodes.filter((node) => seqOf(node) < seqOf(first)) : []
  const last = incoming.nodes.at(-1)
  const newer = args?.before && last ? known.nodes.filter((node) => seqOf(node) > seqOf(last)) : []
  const head = older.length > 0 ? known : incoming
  return {
    ...known,
    ...incoming,
    nodes: [...older, ...incoming.nodes, ...newer],
    ...joinedPageInfo(head, args?.before ? known : incoming),
  }
}

function joinedPageInfo(head: CachedPage, tail: CachedPage): Pick<CachedPage, 'pageInfo'> {
  if (!head.pageInfo || !tail.pageInfo) return {}
  const { hasPreviousPage, startCursor } = head.pageInfo
  const start = hasPreviousPage === undefined ? {} : { hasPreviousPage, startCursor }
  const { hasNextPage, endCursor } = tail.pageInfo
  const end = hasNextPage === undefined ? {} : { hasNextPage, endCursor }
  return { pageInfo: { ...tail.pageInfo, ...start, ...end } }
}
