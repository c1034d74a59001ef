import type { SmallSet } from '../lib/small-set.ts'
import { type Activity, activities } from './presence.ts'

/** A user in a room. */
export type Person = {
  readonly userId: string
  /** Those that are open here. */
  subscriptions: number
  /** Until when the lease of who has none left is kept. */
  leavesAtMs: number | null
  typedAtMs: number | null
  /** How long a lease the next exchange asks for, of each activity, beyond renewals; 0 ends one. */
  readonly askedMs: Record<Activity, number | null>
}

/** Those of a room: few, and mostly one. */
export type People = SmallSet<Person>

export const foundIn = (people: People, userId: string): Person | undefined =>
  [...people].find((person) => person.userId === userId)

/** The one of this id, who comes in where it was not there. */
export function personIn(people: People, userId: string): Person {
  const known = foundIn(people, userId)
  if (known) return known
  const person: Person = {
    userId,
    subscriptions: 0,
    leavesAtMs: null,
    typedAtMs: null,
    askedMs: { present: null, typing: null },
  }
  people.add(person)
  return person
}

/** Is here, or was a moment ago. */
export const isPresent = ({ subscriptions, leavesAtMs }: Person) => subscriptions > 0 || leavesAtMs !== null

/** Nothing is to be renewed, ended or asked for of it. */
export const isGone = (person: Person) =>
  !isPresent(person) && activities.every((activity) => person.askedMs[activity] === null)
