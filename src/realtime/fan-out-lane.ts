import type { Polled } from '../lib/polled.ts'
import { SmallSet } from '../lib/small-set.ts'
import {
  everybody,
  type Membership,
  type Reader,
  type Sharing,
  type Source,
  type Step,
} from './fan-out-source.ts'

type Place = { cursor: string; json: string | null }

/** Readers that share one source and stand at one cursor. */
export type Lane = {
  readonly group: Group
  /** By whose rights the source was opened; may have left. */
  readonly opener: Member
  readonly members: SmallSet<Member>
  /** Null until the source was attached, and before the first step of one that begins with a snapshot. */
  steps: Polled<unknown> | null
  cursor: string | null
  /** The last places, oldest first, each with the JSON that leads there from the one before; empty in a group of one. */
  readonly trail: Place[]
  trailLength: number
  /** A step that was read, could not be joined to the one before it, and comes next. */
  ahead: Step<unknown> | null
  /** Something may be there to be told, which is looked at when the turn ends. */
  isWoken: boolean
  /** A step is being put into JSON. */
  isRendering: boolean
  isClosed: boolean
  readonly wake: () => void
}

/**
 * The readers of one key, `size` of them, and their lanes. `places` finds lanes by each cursor of their trails; null where
 * there is one reader, as there mostly is, who has nobody to meet and whom a trail would cost something with each event.
 */
export type Group = Sharing<unknown> & {
  lanes: Lane[]
  places: Map<string, Lane> | null
  size: number
}

/** What members ask of their fan-out; one for all of them. */
export type Memberships = { resume(member: Member): void; leave(member: Member): void }

/** A class: there is one for each reader that waits, and closures would take a multiple of the memory. */
export class Member implements Membership {
  readonly source: Source<unknown, unknown>
  readonly group: Group
  readonly reader: Reader
  /** Null while it can take nothing, or its right is being decided; `cursor` is its place then. */
  lane: Lane | null = null
  cursor: string | null = null
  isBehind = false
  isGone = false
  private readonly memberships: Memberships

  constructor(memberships: Memberships, group: Group, source: Source<unknown, unknown>, reader: Reader) {
    this.memberships = memberships
    this.group = group
    this.source = source
    this.reader = reader
  }

  resume(): void {
    this.memberships.resume(this)
  }

  leave(): void {
    this.memberships.leave(this)
  }
}

/** A lane that is a little behind another passes it within these; few enough to cost an idle session nothing. */
const trailMaxSteps = 16
const trailMaxLength = 16_384

export function createLane(opener: Member, cursor: string | null, wake: (lane: Lane) => void): Lane {
  const { group } = opener
  const lane: Lane = {
    group,
    opener,
    members: new SmallSet<Member>().add(opener),
    steps: null,
    cursor,
    trail: [],
    trailLength: 0,
    ahead: null,
    isWoken: false,
    isRendering: false,
    isClosed: false,
    wake: () => wake(lane),
  }
  opener.lane = lane
  opener.cursor = null
  // Room for one, as there mostly is: what a first push makes is for seventeen.
  if (group.lanes.length === 0) group.lanes = [lane]
  else group.lanes.push(lane)
  startTrail(lane)
  return lane
}

/** The group has one reader more, or one less. */
export function resize(group: Group, change: 1 | -1): void {
  group.size += change
  if (group.size > 1 === (group.places !== null)) return
  if (group.places) {
    for (const lane of group.lanes) dropTrail(lane)
    group.places = null
  } else {
    group.places = new Map()
    for (const lane of group.lanes) startTrail(lane)
  }
}

/** The lane that stands at a cursor, or has just passed it. */
export function laneAt({ places, lanes }: Group, cursor: string): Lane | undefined {
  if (places) return places.get(cursor)
  return lanes[0]?.cursor === cursor ? lanes[0] : undefined
}

export function closeLane(lane: Lane): void {
  if (lane.isClosed) return
  lane.isClosed = true
  const { lanes } = lane.group
  lanes.splice(lanes.indexOf(lane), 1)
  dropTrail(lane)
  lane.steps?.close()
}

/** Moves the lane on. Gives the other lane of its group that stands there or has just passed, where there is one. */
export function proceed(lane: Lane, step: Step<unknown>, json: string | null): Lane | null {
  lane.cursor = step.cursor
  const { places } = lane.group
  if (!places) return null
  const other = places.get(step.cursor)
  if (other && other !== lane) return other
  // Whoever comes from before such a step is to be rechecked, too.
  if (step.recheck !== undefined) dropTrail(lane)
  addPlace(lane, step.cursor, lane.trail.length > 0 ? json : null)
  return null
}

/** What the lane has told after this place of its trail. */
export function missedAfter(lane: Lane, cursor: string): readonly Place[] {
  const at = lane.trail.findLastIndex((place) => place.cursor === cursor)
  return at === lane.trail.length - 1 ? [] : lane.trail.slice(at + 1)
}

/** A snapshot was made by the rights of the one who opened the lane; those of the others are open. */
export const membersToRecheck = (lane: Lane, whose: string): Member[] =>
  [...lane.members].filter((member) =>
    whose === everybody ? member !== lane.opener : member.source.userId === whose,
  )

function startTrail(lane: Lane) {
  if (lane.group.places && lane.cursor !== null) addPlace(lane, lane.cursor, null)
}

function addPlace(lane: Lane, cursor: string, json: string | null) {
  const { trail, group } = lane
  trail.push({ cursor, json })
  group.places?.set(cursor, lane)
  lane.trailLength += json?.length ?? 0
  while (trail.length > 1 && (trail.length > trailMaxSteps || lane.trailLength > trailMaxLength)) {
    dropPlace(lane, trail.shift()?.cursor ?? '')
    const [first] = trail
    lane.trailLength -= first?.json?.length ?? 0
    // Nobody comes from before it any more.
    if (first) first.json = null
  }
}

function dropTrail(lane: Lane) {
  for (const { cursor } of lane.trail) dropPlace(lane, cursor)
  lane.trail.length = 0
  lane.trailLength = 0
}

function dropPlace(lane: Lane, cursor: string) {
  const { places } = lane.group
  if (places?.get(cursor) === lane) places.delete(cursor)
}
