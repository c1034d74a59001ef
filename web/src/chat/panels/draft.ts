import { useState } from 'react'

type Draft<Form> = {
  /** What is shown: what the person changed, over what is stored now. */
  form: Form
  /** What the person changed, which alone is to be saved; null where that is nothing. */
  changes: Partial<Form> | null
  /** What the person changed and somebody else, or another tab, has stored otherwise meanwhile. */
  overtaken: readonly (keyof Form)[]
  change(changes: Partial<Form>): void
  /** Takes what is stored in place of what the person wrote. */
  discard(names?: readonly (keyof Form)[]): void
}

/**
 * A draft of what is stored, which goes on changing while it is written: what the person did not touch follows, what it
 * did touch stays, and is told where it would overwrite what came meanwhile.
 */
export function useDraft<Form extends object>(stored: Form): Draft<Form> {
  const [changes, setChanges] = useState<Partial<Form>>({})
  /** What was stored when the person began to change it. */
  const [before, setBefore] = useState<Partial<Form>>({})
  const names = (Object.keys(changes) as (keyof Form)[]).filter(
    (name) => !isSame(stored[name], changes[name]),
  )
  return {
    form: { ...stored, ...changes },
    changes: names.length > 0 ? pick(changes, names) : null,
    overtaken: names.filter((name) => !isSame(stored[name], before[name])),
    change(next) {
      setChanges((known) => ({ ...known, ...next }))
      setBefore((known) => ({ ...pick(stored, Object.keys(next) as (keyof Form)[]), ...known }))
    },
    discard(given = names) {
      const kept = names.filter((name) => !given.includes(name))
      setChanges(pick(changes, kept))
      setBefore(pick(before, kept))
    },
  }
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

const pick = <Form extends object>(values: Partial<Form>, names: readonly (keyof Form)[]): Partial<Form> =>
  Object.fromEntries(names.map((name) => [name, values[name]])) as Partial<Form>
