import { graphql } from '../../../generated/gql.ts'
import type { MemoriesQuery as MemoriesQueryData } from '../../../generated/graphql.ts'

export const MemoriesQuery = graphql(`
  query Memories($scope: MemoryScope!, $sessionId: ID, $prefix: String, $after: Cursor) {
    memories(scope: $scope, sessionId: $sessionId, prefix: $prefix, first: 50, after: $after) {
      nodes { id key value scope source expiresAt updatedAt }
      totalCount
      pageInfo { hasNextPage endCursor }
    }
  }
`)

export const SaveMemory = graphql(`
  mutation SaveMemory($input: SaveMemoryInput!) {
    saveMemory(input: $input) {
      ... on SaveMemoryPayload { memory { id key value scope source expiresAt updatedAt } }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const DeleteMemory = graphql(`
  mutation DeleteMemory($input: DeleteMemoryInput!) {
    deleteMemory(input: $input) {
      ... on DeleteMemoryPayload { key }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export const ClearMemories = graphql(`
  mutation ClearMemories($input: ClearMemoriesInput!) {
    clearMemories(input: $input) {
      ... on ClearMemoriesPayload { count }
      ... on Error { code message }
      ... on ValidationError { fields { path message } }
    }
  }
`)

export type Memory = MemoriesQueryData['memories']['nodes'][number]
/** Whose memory: of the viewer in all of its sessions, or of one session. */
export type Place = { scope: 'USER' } | { scope: 'SESSION'; sessionId: string }
