import { Section } from '../section.tsx'
import { ExportSession } from './export-session.tsx'
import { ImportFile } from './import-file.tsx'

export const TransferPanel = ({ sessionId }: { sessionId: string }) => (
  <>
    <ExportSession sessionId={sessionId} />
    <Section title="Import conversations">
      <ImportFile />
    </Section>
  </>
)
