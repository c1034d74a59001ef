import type { UsageQuery } from '../../../generated/graphql.ts'
import { Legend } from '../legend.tsx'
import { Nothing } from '../section.tsx'
import { daysOf, type Measure, modelsOf } from './chart-data.ts'
import styles from './usage.module.css'
import { UsageChart } from './usage-chart.tsx'
import { UsageTable } from './usage-table.tsx'

type Props = {
  usage: UsageQuery['usage']
  dates: readonly string[]
  measure: Measure
  /** What is counted, such as Tokens. */
  label: string
  format: (value: number) => string
}

/** The sum, a chart, and its numbers as a table. */
export function UsageByDay({ usage, dates, measure, label, format }: Props) {
  const models = modelsOf(usage, measure)
  const days = daysOf(usage, dates, measure)
  const total = days.reduce((sum, day) => sum + day.total, 0)
  const span = `in ${dates.length} days`
  if (models.length === 0)
    return (
      <Nothing>
        No {label.toLowerCase()} {span}.
      </Nothing>
    )
  return (
    <figure className={styles.usage}>
      <p className={styles.total}>
        <strong>{format(total)}</strong> {label.toLowerCase()} {span}
      </p>
      <UsageChart
        {...{ days, models, format }}
        label={`${label} a day, ${format(total)} ${span}; the table below has the numbers`}
      />
      <Legend label="Models">
        {models.map((model, index) => (
          <li key={model} data-series={index % 6}>
            {model}
          </li>
        ))}
      </Legend>
      <UsageTable {...{ days, models, format }} />
    </figure>
  )
}
