import { nameOf } from '../../ui/avatar.tsx'
import { momentOf } from '../numbers.ts'
import { Section } from '../section.tsx'
import styles from './settings.module.css'
import type { Session } from './settings-form.tsx'

export function SessionFacts({ session }: { session: Session }) {
  const { user, agent, template, key, createdAt, id } = session
  const facts = [
    { name: 'Owner', value: nameOf(user) },
    { name: 'Agent', value: agent?.name ?? 'None' },
    ...(template ? [{ name: 'Template', value: template.name }] : []),
    ...(key ? [{ name: 'Key', value: key }] : []),
    { name: 'Created', value: momentOf(createdAt) },
    { name: 'Id', value: id },
  ]
  return (
    <Section title="About">
      <dl className={styles.facts}>
        {facts.map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
