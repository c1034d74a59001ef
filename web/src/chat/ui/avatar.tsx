import styles from './avatar.module.css'

export type Person = { id: string; name: string | null; externalId: string }

export const nameOf = ({ name, externalId }: Pick<Person, 'name' | 'externalId'>) => name || externalId

// Dark enough for white letters (4.5 to 1).
const colours = ['#5b5bd6', '#a4447f', '#0f766e', '#a14a12', '#3f6fb5', '#6b7a1f', '#b23a48', '#7a54b5']

/** A person's initials on a colour that stays theirs. */
export function Avatar({ person }: { person: Person }) {
  const name = nameOf(person)
  const words = name.split(/[\s._@-]+/).filter(Boolean)
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase())
    .join('')
  const sum = [...person.id].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0)
  return (
    <span
      className={styles.avatar}
      style={{ backgroundColor: colours[sum % colours.length] }}
      role="img"
      aria-label={name}
      title={name}
    >
      {initials}
    </span>
  )
}

const stackedAtMost = 4

type AvatarStackProps = {
  people: readonly Person[]
  /** How many they are in all, where not all are in the list. */
  count?: number
  label: string
}

/** The first people of a list, overlapping, and how many more there are. */
export function AvatarStack({ people, count = people.length, label }: AvatarStackProps) {
  const stacked = people.slice(0, stackedAtMost)
  const more = count - stacked.length
  return (
    // biome-ignore lint/a11y/useSemanticElements: a list of pictures, which no element stands for
    <span className={styles.stack} role="group" aria-label={label}>
      {stacked.map((person) => (
        <Avatar key={person.id} person={person} />
      ))}
      {more > 0 && (
        <span
          className={`${styles.avatar} ${styles.more}`}
          role="img"
          aria-label={`and ${more} more`}
          title={`and ${more} more`}
        >
          +{more < 1_000 ? more : '999'}
        </span>
      )}
    </span>
  )
}
