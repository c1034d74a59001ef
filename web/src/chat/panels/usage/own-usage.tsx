import { useQuery } from '@apollo/client/react'
import { useState } from 'react'
import styles from '../../ui/select.module.css'
import { Loaded } from '../loaded.tsx'
import { dollars, inShort } from '../numbers.ts'
import { readAnew } from '../read-anew.ts'
import { Section } from '../section.tsx'
import { Tabs } from '../tabs.tsx'
import { lastDays, type Measure } from './chart-data.ts'
import { UsageQuery } from './operations.ts'
import { UsageByDay } from './usage-by-day.tsx'

const measures: Record<Measure, { label: string; format: (value: number) => string }> = {
  tokens: { label: 'Tokens', format: inShort },
  cost: { label: 'Cost', format: (value) => dollars(String(value)) },
  runs: { label: 'Replies', format: inShort },
}
const tabs = (['tokens', 'cost', 'runs'] as const).map((id) => ({ id, label: measures[id].label }))
const spans = [7, 30, 90]

/** What the viewer used in all of its sessions, a day at a time and by model. */
export function OwnUsage({ userId }: { userId: string }) {
  const [measure, setMeasure] = useState<Measure>('tokens')
  const [count, setCount] = useState(30)
  const [now] = useState(() => new Date())
  const { from, to, dates } = lastDays(count, now)
  const result = useQuery(UsageQuery, {
    variables: { from, to, filter: { userId } },
    ...readAnew,
  })
  const shown = { ...result, data: result.data ?? result.previousData }

  return (
    <Section
      title="All of your conversations"
      aside={
        <select
          className={styles.select}
          aria-label="How long back"
          value={count}
          onChange={({ target }) => setCount(Number(target.value))}
        >
          {spans.map((span) => (
            <option key={span} value={span}>
              {span} days
            </option>
          ))}
        </select>
      }
    >
      <Tabs tabs={tabs} chosen={measure} onChoose={setMeasure} label="What is counted">
        <Loaded result={shown}>
          {({ usage }) => <UsageByDay {...{ usage, dates, measure }} {...measures[measure]} />}
        </Loaded>
      </Tabs>
    </Section>
  )
}
