import { useQuery } from '@apollo/client/react'
import { graphql } from '../generated/gql.ts'

const viewerQuery = graphql(`
  query Viewer {
    viewer {
      role
      user {
        id
        name
        externalId
      }
      tenant {
        id
        name
      }
    }
  }
`)

/** Who is signed in; undefined until the server has said so. */
export function useViewer() {
  const { data } = useQuery(viewerQuery)
  return { viewer: data?.viewer }
}
