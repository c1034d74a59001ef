import type { SessionUsageQuery } from '../../../generated/graphql.ts'
import { dollars, inFull, inShort } from '../numbers.ts'
import { Section } from '../section.tsx'
import styles from './usage.module.css'

type Session = NonNullable<SessionUsageQuery['session']>

export function SessionUsage({ session: { usage, messageCount } }: { session: Session }) {
  const facts = [
    { name: 'Cost', value: dollars(usage.cost) },
    { name: 'Replies', value: inFull(usage.runs) },
    { name: 'Messages', value: inFull(messageCount) },
    { name: 'Tokens in', value: inShort(usage.inputTokens), exact: usage.inputTokens },
    { name: 'Tokens out', value: inShort(usage.outputTokens), exact: usage.outputTokens },
    { name: 'From cache', value: inShort(usage.cachedInputTokens), exact: usage.cachedInputTokens },
  ]
  return (
    <Section title="This conversation">
      <dl className={styles.facts}>
        {facts.map(({ name, value, exact }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={exact === undefined ? undefined : inFull(exact)}>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
