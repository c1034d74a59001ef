import { dayOf } from '../numbers.ts'
import type { Day } from './chart-data.ts'
import styles from './usage.module.css'

type Props = { days: readonly Day[]; models: readonly string[]; format: (value: number) => string }

/** The numbers of the chart; days without use are left out. */
export function UsageTable({ days, models, format }: Props) {
  return (
    <details className={styles.table}>
      <summary>Show as a table</summary>
      <div className={styles.scroll}>
        <table>
          <thead>
            <tr>
              <th scope="col">Day</th>
              {models.map((model) => (
                <th key={model} scope="col">
                  {model}
                </th>
              ))}
              <th scope="col">All</th>
            </tr>
          </thead>
          <tbody>
            {days
              .filter(({ parts }) => parts.length > 0)
              .map(({ date, parts, total }) => (
                <tr key={date}>
                  <th scope="row">{dayOf(date)}</th>
                  {models.map((model) => (
                    <td key={model}>{format(parts.find((part) => part.model === model)?.value ?? 0)}</td>
                  ))}
                  <td>{format(total)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
