import { type FormEvent, useState } from 'react'
import type { SessionSettingsQuery } from '../../../generated/graphql.ts'
import { Field } from '../../ui/field.tsx'
import { useToast } from '../../ui/toast.tsx'
import { faultAt, useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { countOf } from '../numbers.ts'
import { SaveBar } from '../save-bar.tsx'
import { readObject } from './metadata.ts'
import { SaveSessionSettings } from './operations.ts'
import styles from './settings.module.css'
import { TagsField } from './tags-field.tsx'

export type Session = NonNullable<SessionSettingsQuery['session']>

const draftOf = ({ title, tags, metadata, isActive }: Session) => ({
  title: title ?? '',
  tags: [...tags],
  metadata: JSON.stringify(metadata, null, 2),
  isActive,
})

export function SettingsForm({ session }: { session: Session }) {
  const toast = useToast()
  const [draft, setDraft] = useState<ReturnType<typeof draftOf> | null>(null)
  const save = useAction(SaveSessionSettings)
  const form = draft ?? draftOf(session)
  const isDisabled = session.viewerRole === 'VIEWER'
  const change = (changes: Partial<typeof form>) => setDraft({ ...form, ...changes })
  const metadata = readObject(form.metadata)
  const metadataFault = 'fault' in metadata ? metadata.fault : faultAt(save.fault, 'metadata')
  const titleFault = faultAt(save.fault, 'title')

  async function submit(event: FormEvent) {
    event.preventDefault()
    if (!('value' in metadata)) return
    const { title, tags, isActive } = form
    const saved = await save.run({
      input: {
        ...{ sessionId: session.id, tags, metadata: metadata.value },
        // What is sent counts as set by a person: a title is left alone from then on.
        ...(title !== (session.title ?? '') && { title }),
        ...(isActive !== session.isActive && { isActive }),
      },
    })
    if (!saved) return
    setDraft(null)
    const { length } = saved.deactivatedSessions
    if (length > 0) toast({ text: `${countOf(length, 'quiet conversation')} became inactive to make room.` })
  }

  return (
    <form className={styles.form} onSubmit={(event) => void submit(event)}>
      <Field label="Title" error={titleFault && `The title ${titleFault}.`}>
        {(control) => (
          <input
            {...control}
            value={form.title}
            maxLength={255}
            disabled={isDisabled}
            placeholder="Made from the first message"
            onChange={({ target }) => change({ title: target.value })}
          />
        )}
      </Field>
      <TagsField
        tags={form.tags}
        isDisabled={isDisabled}
        fault={faultAt(save.fault, 'tags')}
        onChange={(tags) => change({ tags })}
      />
      <Field
        label="Metadata"
        hint="A JSON object for programs, such as {&quot;ticket&quot;: 7}"
        error={metadataFault && `The metadata ${metadataFault}.`}
      >
        {({ className, ...control }) => (
          <textarea
            {...control}
            className={`${className} ${styles.code}`}
            value={form.metadata}
            rows={Math.min(form.metadata.split('\n').length, 10)}
            disabled={isDisabled}
            spellCheck={false}
            onChange={({ target }) => change({ metadata: target.value })}
          />
        )}
      </Field>
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={form.isActive}
          disabled={isDisabled}
          onChange={({ target }) => change({ isActive: target.checked })}
        />
        <span>
          Active
          <small>An agent has few active conversations at a time; the quietest gives way.</small>
        </span>
      </label>
      <FaultNote fault={save.fault} shownAt={['title', 'metadata', 'tags']} />
      {draft && (
        <SaveBar isBusy={save.isBusy} isDisabled={'fault' in metadata} onDiscard={() => setDraft(null)} />
      )}
    </form>
  )
}
