import { useQuery } from '@apollo/client/react'
import { graphql } from '../generated/gql.ts'
import type { LimitsQuery } from '../generated/graphql.ts'

const limitsQuery = graphql(`
  query Limits {
    limits {
      messageMaxLength
      titleMaxLength
      documentMaxBytes
      requestMaxBytes
    }
  }
`)

export type Limits = LimitsQuery['limits']

/** What the server takes at most; undefined until it has said so. */
export const useLimits = (): Limits | undefined => useQuery(limitsQuery).data?.limits
