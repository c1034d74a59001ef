import { useQuery } from '@apollo/client/react'
import { graphql } from '../../generated/gql.ts'

const SessionRoleQuery = graphql(`
  query SessionRole($sessionId: ID!) {
    session(id: $sessionId) {
      id
      viewerRole
    }
  }
`)

/** What the viewer may do in a session; undefined until that is known. */
export const useRole = (sessionId: string) =>
  useQuery(SessionRoleQuery, { variables: { sessionId } }).data?.session?.viewerRole
