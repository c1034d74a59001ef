/**
 * How entries are added up: the columns that tell sums apart, how they are selected, what they are grouped by, and which groups
 * are meant.
 */
export type Grouping = { names: string; select: string; by: string; having?: string }

export const byKey: Grouping = { names: 'start, key', select: 'start, key', by: 'start, key' }

const added = [
  ...['messages', 'runs', 'failures'],
  ...['input_tokens', 'output_tokens', 'cached_input_tokens', 'cost'],
]

/** SQL of the columns that add up. */
export const sums = added.map((name) => `sum(${name}) AS ${name}`).join(', ')
export const addedNames = added.join(', ')

/**
 * SQL of WITH queries that add `entries` up: `by_session`, for each session apart, and `waits`, how many runs had their first
 * word after how many milliseconds. They can be hashed, where different sessions and percentiles of all entries would sort them.
 */
export const addUp = ({ names, select, by, having = 'true' }: Grouping) => `
    by_session AS (SELECT ${select}, session_id, ${sums}, array_agg(ms) FILTER (WHERE ms IS NOT NULL) AS waits
      FROM entries GROUP BY ${by}, session_id HAVING ${having}),
    waits AS (SELECT ${names}, ms, count(*) AS runs FROM by_session, unnest(waits) AS ms GROUP BY ${names}, ms)`

/** SQL of the percentiles that `waits` have. They are waits that there were, as those of `percentile_disc`. */
export const percentilesOf = (
  names: string,
) => `SELECT ${names}, ${percentile(0.5)} AS p50, ${percentile(0.95)} AS p95
    FROM (SELECT ${names}, ms, sum(runs) OVER (PARTITION BY ${names} ORDER BY ms) AS reached,
        sum(runs) OVER (PARTITION BY ${names}) AS total FROM waits) AS ranked
    GROUP BY ${names}`

const percentile = (share: number) =>
  `min(ms) FILTER (WHERE reached >= ceil(total::float8 * ${share}::float8))`

/** SQL of the columns of a `Bucket` but for its start and key, from sums `s` and percentiles `p`. */
export const bucketColumns = `s.sessions::float8 AS sessions, s.messages::float8 AS messages, s.runs::float8 AS runs,
      s.failures::float8 AS failures, s.input_tokens::float8 AS "inputTokens", s.output_tokens::float8 AS "outputTokens",
      s.cached_input_tokens::float8 AS "cachedInputTokens", s.cost,
      p.p50 AS "timeToFirstTokenP50Ms", p.p95 AS "timeToFirstTokenP95Ms"`
