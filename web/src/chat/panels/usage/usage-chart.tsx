import { dayOf } from '../numbers.ts'
import { type Day, scaleTop } from './chart-data.ts'
import styles from './usage.module.css'

type Props = {
  days: readonly Day[]
  models: readonly string[]
  /** What a value is called, such as $0.12 or 1.2K. */
  format: (value: number) => string
  label: string
}

const width = 320
const height = 132
const base = 112
const left = 40

/** Stacked columns, a day each. What it shows stands in the table beside it, too, so it is one image to readers. */
export function UsageChart({ days, models, format, label }: Props) {
  const top = scaleTop(Math.max(...days.map(({ total }) => total)))
  const step = (width - left) / days.length
  const barWidth = Math.max(Math.min(step * 0.7, 18), 1.5)
  const yOf = (value: number) => base - (value / top) * (base - 8)
  const labelled = [0, Math.floor((days.length - 1) / 2), days.length - 1]

  return (
    <svg className={styles.chart} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {[0, top / 2, top].map((value) => (
        <g key={value}>
          <line x1={left} x2={width} y1={yOf(value)} y2={yOf(value)} className={styles.rule} />
          <text x={left - 6} y={yOf(value) + 3} textAnchor="end">
            {format(value)}
          </text>
        </g>
      ))}
      {days.map(({ date, parts, total }, index) => {
        const x = left + index * step + (step - barWidth) / 2
        let y = base
        return (
          <g key={date}>
            <title>{`${dayOf(date)}: ${format(total)}`}</title>
            {parts.map(({ model, value }) => {
              const barHeight = base - yOf(value)
              y -= barHeight
              return (
                <rect
                  key={model}
                  {...{ x, y }}
                  width={barWidth}
                  height={barHeight}
                  data-series={models.indexOf(model) % 6}
                />
              )
            })}
            <rect x={left + index * step} y={0} width={step} height={base} className={styles.hover} />
          </g>
        )
      })}
      {labelled.map((index) => (
        <text
          key={index}
          x={left + index * step + step / 2}
          y={height - 6}
          textAnchor={index === 0 ? 'start' : index === days.length - 1 ? 'end' : 'middle'}
        >
          {dayOf(days[index]?.date ?? '')}
        </text>
      ))}
    </svg>
  )
}
