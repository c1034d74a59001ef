import { useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { Section } from '../section.tsx'
import { ExportSession as ExportSessionMutation } from './operations.ts'
import styles from './transfer.module.css'

const formats = [
  { format: 'JSON', name: 'JSON', says: 'Everything, and can be imported again' },
  { format: 'MARKDOWN', name: 'Markdown', says: 'For reading' },
] as const

export function ExportSession({ sessionId }: { sessionId: string }) {
  const make = useAction(ExportSessionMutation)
  const [filename, setFilename] = useState<string | null>(null)

  async function download(format: (typeof formats)[number]['format']) {
    setFilename(null)
    const made = await make.run({ input: { sessionId, format } })
    if (!made) return
    const link = document.createElement('a')
    link.href = made.url
    link.download = made.filename
    link.click()
    setFilename(made.filename)
  }

  return (
    <Section title="Export this conversation">
      <ul className={styles.formats}>
        {formats.map(({ format, name, says }) => (
          <li key={format}>
            <div>
              <strong>{name}</strong>
              <span>{says}</span>
            </div>
            <Button
              disabled={make.isBusy}
              onClick={() => void download(format)}
              aria-label={`Download as ${name}`}
            >
              Download
            </Button>
          </li>
        ))}
      </ul>
      <p role="status" className={styles.result}>
        {filename && `The download of “${filename}” has begun.`}
      </p>
      <FaultNote fault={make.fault} />
    </Section>
  )
}
