import type { FormEvent } from 'react'
import type { SessionSettingsQuery } from '../../../generated/graphql.ts'
import { useLimits } from '../../limits.ts'
import { Field } from '../../ui/field.tsx'
import { useToast } from '../../ui/toast.tsx'
import { faultAt, useAction } from '../action.ts'
import { Check } from '../check.tsx'
import { useDraft } from '../draft.ts'
import { FaultNote } from '../fault-note.tsx'
import { countOf } from '../numbers.ts'
import { OvertakenNote } from '../overtaken-note.tsx'
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

const names = { title: 'title', tags: 'tags', metadata: 'metadata', isActive: 'activity' } as const

/** What is saved are the fields that were changed, so that nothing else is overwritten; a title that is sent counts as a person's. */
export function SettingsForm({ session }: { session: Session }) {
  const toast = useToast()
  const { form, changes, overtaken, change, discard } = useDraft(draftOf(session))
  const save = useAction(SaveSessionSettings)
  const { titleMaxLength } = useLimits() ?? {}
  const isDisabled = session.viewerRole === 'VIEWER'
  const metadata = readObject(form.metadata)
  const metadataFault = 'fault' in metadata ? metadata.fault : faultAt(save.fault, 'metadata')
  const titleFault = faultAt(save.fault, 'title')

  async function submit(event: FormEvent) {
    event.preventDefault()
    if (!('value' in metadata)) return
    const { metadata: written, ...others } = changes ?? {}
    const saved = await save.run({
      input: {
        sessionId: session.id,
        ...others,
        ...(written !== undefined && { metadata: metadata.value }),
      },
    })
    if (!saved) return
    discard()
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
            maxLength={titleMaxLength}
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
      <Check
        {...{ isDisabled }}
        isOn={form.isActive}
        onChange={(isActive) => change({ isActive })}
        hint="An agent has few active conversations at a time; the quietest gives way."
      >
        Active
      </Check>
      <FaultNote fault={save.fault} shownAt={['title', 'metadata', 'tags']} />
      <OvertakenNote names={overtaken.map((name) => names[name])} onTake={() => discard(overtaken)} />
      {changes && (
        <SaveBar isBusy={save.isBusy} isDisabled={'fault' in metadata} onDiscard={() => discard()} />
      )}
    </form>
  )
}
