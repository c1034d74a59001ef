import { useQuery } from '@apollo/client/react'
import type { QuotasQuery as Data } from '../../../generated/graphql.ts'
import { dollars, inShort, momentOf } from '../numbers.ts'
import { readAnew } from '../read-anew.ts'
import { Section } from '../section.tsx'
import { QuotasQuery } from './operations.ts'
import styles from './usage.module.css'

/** How much the viewer may use, and how much of it is used; nothing where there is no quota. */
export function Quotas() {
  const { data } = useQuery(QuotasQuery, { ...readAnew, pollInterval: pollMs })
  const limits = data?.viewer.quota.flatMap(limitsOf) ?? []
  if (limits.length === 0) return null
  return (
    <Section title="Quota">
      <ul className={styles.quotas} aria-label="Quotas">
        {limits.map(({ name, used, limit, share, resetAt }) => (
          <li key={name}>
            <span>{name}</span>
            <span className={styles.used}>
              {used} of {limit}
            </span>
            <meter
              aria-label={`${name}: ${used} of ${limit}`}
              value={Math.min(share, 1)}
              high={0.9}
              optimum={0}
            />
            <small>
              {share >= 1 ? `Used up until ${momentOf(resetAt)}` : `Anew on ${momentOf(resetAt)}`}
            </small>
          </li>
        ))}
      </ul>
    </Section>
  )
}

/** Nothing tells of other people who use the same quota. */
const pollMs = 30_000

type Quota = Data['viewer']['quota'][number]

const whose = { USER: 'Yours', EACH_USER: 'Yours', TENANT: 'Of all' }
const span = { DAY: 'a day', MONTH: 'a month' }

/** A quota may limit tokens and dollars, each on its own. */
function limitsOf({ scope, period, tokens, usedTokens, cost, usedCost, resetAt }: Quota) {
  const name = (unit: string) => `${whose[scope]}: ${unit} ${span[period]}`
  return [
    ...(tokens !== null && usedTokens !== null
      ? [
          {
            name: name('tokens'),
            used: inShort(usedTokens),
            limit: inShort(tokens),
            share: shareOf(usedTokens, tokens),
          },
        ]
      : []),
    ...(cost !== null && usedCost !== null
      ? [
          {
            name: name('cost'),
            used: dollars(usedCost),
            limit: dollars(cost),
            share: shareOf(Number(usedCost), Number(cost)),
          },
        ]
      : []),
  ].map((limit) => ({ ...limit, resetAt }))
}

/** A quota of nothing is used up from the beginning. */
const shareOf = (used: number, limit: number) => (limit > 0 ? used / limit : 1)
