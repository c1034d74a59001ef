import { graphql } from '../../../generated/gql.ts'

export const SessionUsageQuery = graphql(`
  query SessionUsage($sessionId: ID!) {
    session(id: $sessionId) {
      id
      messageCount
      usage { runs inputTokens cachedInputTokens outputTokens cost }
    }
    viewer { user { id } }
  }
`)

export const UsageQuery = graphql(`
  query Usage($from: DateTime!, $to: DateTime!, $filter: UsageFilter) {
    usage(from: $from, to: $to, interval: DAY, groupBy: MODEL, filter: $filter) {
      start
      key
      runs
      failures
      inputTokens
      outputTokens
      cost
      timeToFirstTokenP50Ms
    }
  }
`)

export const QuotasQuery = graphql(`
  query Quotas {
    viewer {
      quota {
        scope
        period
        tokens
        usedTokens
        cost
        usedCost
        resetAt
      }
    }
  }
`)
