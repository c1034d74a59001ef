import { NotFoundError } from '../lib/errors.ts'
import type { TurnEnd } from '../lib/turn.ts'
import {
  closeLane,
  createLane,
  type Group,
  type Lane,
  laneAt,
  Member,
  type Memberships,
  membersToRecheck,
  missedAfter,
  proceed,
  resize,
} from './fan-out-lane.ts'
import type { Membership, Reader, Sharing, Source, Start, Step } from './fan-out-source.ts'

/**
 * One feed for many readers: those who want the same of it (`key`) share its source, and each event is rendered once,
 * to JSON that all of them get.
 *
 * A cursor says all there is to say about a place of a feed, so readers with equal cursors get the same from there on.
 * A lane is a source at a cursor and the readers that stand there. A reader begins in a lane of its own, from its own
 * place and by its own rights. When a lane comes to a cursor that another one of its group stands at or has just
 * passed, its readers go over, decided and done in one step: nothing is lost and nothing comes twice. A reader that can
 * take no more leaves its lane and keeps only its cursor, no queue, until it can.
 *
 * Rights are decided by each reader's own source: when it begins, at a sign that it may have lost them (`recheck`), and
 * with every snapshot.
 */
export type FanOut = {
  /** Follows for the reader, until it leaves or is told the end or the failure. */
  join<Delivery, Value>(
    sharing: Sharing<Value>,
    source: Source<Delivery, Value>,
    start: Start<Delivery>,
    reader: Reader,
  ): Membership
  /** What is there now: readers, and the sources (`lanes`) that they share. */
  size(): { groups: number; lanes: number; readers: number }
}

/** A feed that one reader may follow, by its own rights: alone, by iterating, or together with others. One of the two, once. */
export type Shareable<Value> = AsyncIterable<Value> & {
  /** What it is a feed of; to be part of the key. */
  readonly topic: string
  join(sharing: Sharing<Value>, reader: Reader): Membership
  /** Gives it up unread. */
  close(): void
}

const nobody: readonly Member[] = []

/** Values that readers get as one at most. */
const joinedMaxSteps = 500
const stepsPerTurn = 100

export function createFanOut(atTurnEnd: TurnEnd): FanOut {
  const groups = new Map<string, Group>()
  let woken: Lane[] = []

  function release(member: Member): boolean {
    if (member.isGone) return false
    member.isGone = true
    const { group, lane } = member
    member.lane = null
    if (lane?.members.delete(member) && lane.members.size === 0) closeLane(lane)
    resize(group, -1)
    if (group.size === 0) groups.delete(group.key)
    member.source.left?.()
    return true
  }

  const end = (member: Member) => {
    if (release(member)) member.reader.end()
  }
  const fail = (member: Member, error: unknown) => {
    if (!release(member)) return
    // What it could follow before is gone, or not its to see any more.
    if (error instanceof NotFoundError) member.reader.end()
    else member.reader.fail(error)
  }

  /** Gives, and tells whether the member goes on; one that has had enough stands alone at `cursor` then. */
  function hand(member: Member, json: string, cursor: string): boolean {
    const takesMore = member.reader.take(json)
    if (member.isGone) return false
    if (takesMore) return true
    member.lane?.members.delete(member)
    member.lane = null
    member.cursor = cursor
    member.isBehind = true
    return false
  }

  /** Puts a member that stands alone into the lane that is at its place, or opens one. */
  function settle(member: Member, cursor: string) {
    const lane = laneAt(member.group, cursor)
    if (lane) enter(lane, member, cursor)
    else void open(member, cursor)
  }

  function enter(lane: Lane, member: Member, cursor: string) {
    member.isBehind = false
    for (const { cursor: next, json } of missedAfter(lane, cursor))
      if (json && !hand(member, json, next)) return
    member.lane = lane
    member.cursor = null
    lane.members.add(member)
  }

  async function open(member: Member, cursor: string) {
    const lane = createLane(member, cursor, wake)
    member.isBehind = false
    try {
      lane.steps = await member.source.follow(cursor)
    } catch (error) {
      return breakOff(lane, error)
    }
    if (lane.isClosed) lane.steps.close()
    else wake(lane)
  }

  /** What comes within one turn of the event loop is told together, and can be joined. */
  function wake(lane: Lane) {
    if (lane.isWoken) return
    lane.isWoken = true
    if (woken.push(lane) === 1) atTurnEnd(runWoken)
  }

  function runWoken() {
    const lanes = woken
    woken = []
    for (const lane of lanes) run(lane)
  }

  /** Tells what is there. Others have their turn before a lane that has much to catch up with goes on. */
  function run(lane: Lane) {
    lane.isWoken = false
    try {
      for (let told = 0; !lane.isClosed && !lane.isRendering; told += 1) {
        if (told === stepsPerTurn) return void setImmediate(wake, lane)
        const step = nextStep(lane)
        if (step === null) return
        if (step === 'ended') return finish(lane)
        const rendered = step.value === undefined ? null : lane.group.rendering.render(step.value)
        if (rendered instanceof Promise) void tellWhenRendered(lane, step, rendered)
        else tell(lane, step, rendered)
      }
    } catch (error) {
      breakOff(lane, error)
    }
  }

  async function tellWhenRendered(lane: Lane, step: Step<unknown>, rendered: Promise<string>) {
    lane.isRendering = true
    try {
      const json = await rendered
      lane.isRendering = false
      if (lane.isClosed) return
      tell(lane, step, json)
      wake(lane)
    } catch (error) {
      breakOff(lane, error)
    }
  }

  function tell(lane: Lane, step: Step<unknown>, json: string | null) {
    const doubtful = step.recheck === undefined ? nobody : membersToRecheck(lane, step.recheck)
    for (const member of doubtful) {
      lane.members.delete(member)
      member.lane = null
    }
    if (json)
      lane.members.forEach((member) => {
        // One that has had enough with the last event has had all.
        if (step.isLast) member.reader.take(json)
        else hand(member, json, step.cursor)
      })
    const other = lane.isClosed ? null : proceed(lane, step, json)
    for (const member of doubtful) void recheck(member, step.cursor, json)
    if (step.isLast) return finish(lane)
    if (!other && lane.members.size > 0) return
    const members = [...lane.members]
    closeLane(lane)
    if (other) for (const member of members) enter(other, member, step.cursor)
  }

  async function recheck(member: Member, cursor: string, json: string | null) {
    try {
      const mayRead = await member.source.mayRead()
      if (member.isGone) return
      if (!mayRead) end(member)
      else if (!json || hand(member, json, cursor)) settle(member, cursor)
    } catch (error) {
      fail(member, error)
    }
  }

  function finish(lane: Lane) {
    const members = [...lane.members]
    closeLane(lane)
    for (const member of members) end(member)
  }

  /** The source failed by the rights of its opener; everybody else tries by their own. */
  function breakOff(lane: Lane, error: unknown) {
    const { cursor, opener } = lane
    const members = [...lane.members]
    closeLane(lane)
    for (const member of members) {
      if (member === opener || cursor === null) fail(member, error)
      else {
        member.lane = null
        settle(member, cursor)
      }
    }
  }

  const memberships: Memberships = {
    resume(member) {
      if (member.isBehind && !member.isGone && member.cursor !== null) settle(member, member.cursor)
    },
    leave: (member) => void release(member),
  }

  return {
    join({ key, rendering }, source, start, reader) {
      const known = groups.get(key)
      const group = known ?? ({ key, rendering, lanes: [], places: null, size: 0 } as unknown as Group)
      if (!known) groups.set(key, group)
      resize(group, 1)
      const member = new Member(memberships, group, source as Source<unknown, unknown>, reader)
      source.entered?.()
      if ('after' in start) settle(member, start.after)
      else {
        const lane = createLane(member, null, wake)
        lane.steps = start.opened
        wake(lane)
      }
      return member
    },
    size() {
      const all = [...groups.values()]
      const total = (of: (group: Group) => number) => all.reduce((sum, group) => sum + of(group), 0)
      return {
        groups: all.length,
        lanes: total(({ lanes }) => lanes.length),
        readers: total(({ size }) => size),
      }
    },
  }
}

/** What the lane is told next; null where nothing is there yet. Text that goes on where the last left off is one step. */
function nextStep(lane: Lane): Step<unknown> | 'ended' | null {
  const { source } = lane.opener
  let step = lane.ahead
  lane.ahead = null
  for (let joined = 0; joined < joinedMaxSteps; joined += 1) {
    const next = lane.steps?.poll(lane.wake)
    if (!next) return step
    if (next.done) return step ?? 'ended'
    const following = source.stepOf(next.value)
    if (step === null) step = following
    else {
      const isValued = step.value !== undefined && following.value !== undefined
      const value = isValued ? source.joined(step.value, following.value) : null
      if (value === null) {
        lane.ahead = following
        return step
      }
      step = { ...following, value }
    }
    if (step.isLast || step.recheck !== undefined) return step
  }
  return step
}
