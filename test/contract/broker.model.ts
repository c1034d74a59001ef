import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import type {
  Appended,
  Broker,
  BrokerLimits,
  FollowItem,
  JsonValue,
  Mark,
} from '../../src/realtime/broker.ts'
import { iterate } from './broker.harness.ts'

/** A place counted back from a log's end: mostly in the log, at times ahead of it or before its beginning. */
export type Place = { back: number; epoch?: string }

/** `log` and `follower` are indexes, taken modulo what is there. */
export type Step =
  | { type: 'append'; log: number; batches: Batch[] }
  | { type: 'attach'; log: number; after?: Place }
  | { type: 'next'; follower: number }
  | { type: 'detach'; follower: number; by: 'abort' | 'return' }
  | { type: 'look'; log: number; after: Place; limit: number }

export type Batch = { size: number; marks: Mark[] }

type Marks = Record<string, number>

/** What a channel has to be: `values[n]` has offset n + 1, and the log reaches back to the position `start`. */
type Log = { name: string; epoch: string; values: JsonValue[]; start: number; marks: Marks }

type Append = { values: JsonValue[]; marks: Mark[]; answer: Appended }

type Follower = {
  log: Log
  offset: number
  isGapDue: boolean
  reader: AsyncIterator<FollowItem, undefined>
  abort: AbortController
  /** A read that has nothing to give yet. */
  waiting?: Promise<IteratorResult<FollowItem, undefined>>
}

export type Model = Pick<BrokerLimits, 'maxEntries' | 'batchSize'> & {
  broker: Broker
  logs: Log[]
  followers: Follower[]
  written: number
}

export async function createModel(broker: Broker, limits: Pick<BrokerLimits, 'maxEntries' | 'batchSize'>) {
  const model: Model = { ...limits, broker, logs: [], followers: [], written: 0 }
  for (const name of ['one', 'two']) {
    const { epoch, offset } = await broker.position(name)
    expect(offset).toBe(0)
    model.logs.push({ name, epoch, values: [], start: 0, marks: {} })
  }
  return model
}

/** Does one step to the broker and to the model, and compares what came back. */
export async function take(model: Model, step: Step) {
  const follower = 'follower' in step && model.followers[step.follower % model.followers.length]
  const log = 'log' in step && model.logs[step.log % model.logs.length]
  if (log && step.type === 'append') await append(model, log, step.batches)
  if (log && step.type === 'attach') await attach(model, log, step.after)
  if (log && step.type === 'look') await look(model, log, step.after, step.limit)
  if (follower && step.type === 'next') await next(model, follower)
  if (follower && step.type === 'detach') await detach(model, follower, step.by)
}

/** Reads every follower to the end of its log and ends it. */
export async function drain(model: Model) {
  for (const follower of [...model.followers]) {
    while (!follower.waiting) await next(model, follower)
    await detach(model, follower, 'abort')
  }
}

/** After time enough for all that has an age: no entry is left, and no channel that nobody follows. */
export async function outlive(model: Model) {
  for (const log of model.logs) {
    const position = await model.broker.position(log.name)
    if (model.followers.some((follower) => follower.log === log)) {
      log.start = log.values.length
      expect(position).toEqual({ epoch: log.epoch, offset: log.values.length })
    } else {
      expect(position.epoch).not.toBe(log.epoch)
      Object.assign(log, { epoch: position.epoch, values: [], start: 0, marks: {} })
      expect(position.offset).toBe(0)
    }
  }
}

/** Appends all batches at once; their order is for the broker to choose, so it is found from the answers. */
async function append(model: Model, log: Log, batches: Batch[]) {
  const appends = await Promise.all(
    batches.map(async ({ size, marks }): Promise<Append> => {
      const values = Array.from({ length: size }, () => ++model.written)
      return { values, marks, answer: await model.broker.append(log.name, values, marks) }
    }),
  )
  const isMarked = appends.some(({ marks }) => marks.length > 0)
  // Orders that differ in their last move of a mark alone give the same answers.
  const marks = isMarked ? (await model.broker.tail(log.name, 1)).marks : log.marks
  const outcomes = ordersOf(appends).map((order) => replay(log, order))
  const outcome = outcomes.find((one) => one && isDeepStrictEqual(one.marks, marks))
  const told = JSON.stringify({ before: log, appends, marks })
  if (!outcome) throw new Error(`No order of these appends gives their answers: ${told}`)
  const placed = appends.filter(({ values, answer }) => values.length > 0 && answer.isAppended)
  Object.assign(log, outcome)
  log.start = Math.max(log.start, log.values.length - model.maxEntries)
  if (placed.length === 0) return
  for (const follower of model.followers) {
    if (follower.log !== log || !follower.waiting) continue
    const { value } = await follower.waiting
    delete follower.waiting
    // Between several appends at once a waiting read may see any of the states.
    accept(model, follower, value, placed.length === 1)
  }
}

/** What the log is after these appends in this order; undefined where an answer would have been another. */
function replay(log: Log, order: Append[]): Pick<Log, 'values' | 'marks'> | undefined {
  const values = [...log.values]
  const marks = new Map(Object.entries(log.marks))
  for (const append of order) {
    const isAppended = append.marks.every(({ name, min = -Infinity, max = Infinity }) => {
      const value = marks.get(name)
      return value === undefined || (min <= value && value <= max)
    })
    if (isAppended) values.push(...append.values)
    for (const { name, to } of append.marks) {
      if (isAppended && to === null) marks.delete(name)
      if (isAppended && typeof to === 'number') marks.set(name, to)
    }
    const named = append.marks.map(({ name }) => marks.get(name))
    const position = { epoch: log.epoch, offset: values.length }
    const due: Appended = { position, isAppended, marks: named }
    if (!isDeepStrictEqual(append.answer, due)) return
  }
  return { values, marks: Object.fromEntries(marks) }
}

function ordersOf<T>(items: T[]): T[][] {
  if (items.length <= 1) return [items]
  return items.flatMap((first, index) =>
    ordersOf(items.toSpliced(index, 1)).map((others) => [first, ...others]),
  )
}

async function attach({ broker, followers }: Model, log: Log, place: Place | undefined) {
  const abort = new AbortController()
  const end = { epoch: log.epoch, offset: log.values.length }
  const after = place && positionAt(log, place)
  const isGapDue = after !== undefined && !reachesBackTo(log, after)
  const following = await broker.follow(log.name, { ...(after && { after }), signal: abort.signal })
  expect(following.position).toEqual(isGapDue ? end : (after ?? end))
  followers.push({ log, offset: following.position.offset, isGapDue, reader: iterate(following), abort })
}

async function next(model: Model, follower: Follower) {
  if (follower.waiting) return
  const read = follower.reader.next()
  if (follower.isGapDue || follower.offset < follower.log.values.length)
    accept(model, follower, (await read).value, true)
  else follower.waiting = read
}

/** `isQuiet`: nothing was appended since the read began, or one batch at most that woke it. */
function accept({ batchSize }: Model, follower: Follower, item: FollowItem | undefined, isQuiet: boolean) {
  const { log, offset, isGapDue } = follower
  const end = log.values.length
  const isBehind = isGapDue || offset < log.start
  if (!item) throw new Error('The follower has ended.')
  if (item.type === 'gap') {
    expect(isBehind, 'a gap where the log reaches back').toBe(true)
    expect(item.position.epoch).toBe(log.epoch)
    const earliest = isGapDue ? offset : isQuiet ? end : offset + 1
    expect(item.position.offset).toBeGreaterThanOrEqual(earliest)
    expect(item.position.offset).toBeLessThanOrEqual(isGapDue ? offset : end)
    follower.offset = item.position.offset
    follower.isGapDue = false
    return
  }
  const count = item.entries.length
  if (isQuiet)
    expect({ isBehind, count }).toEqual({ isBehind: false, count: Math.min(batchSize, end - offset) })
  expect(count).toBeGreaterThan(0)
  expect(count).toBeLessThanOrEqual(batchSize)
  expect(item.epoch).toBe(log.epoch)
  expect(item.entries).toMatchObject(entriesOf(log, offset, offset + count))
  follower.offset += count
}

async function detach({ followers }: Model, follower: Follower, by: 'abort' | 'return') {
  followers.splice(followers.indexOf(follower), 1)
  if (by === 'abort') follower.abort.abort()
  else await follower.reader.return?.()
  const ended = { done: true, value: undefined }
  if (follower.waiting) expect(await follower.waiting).toEqual(ended)
  expect(await follower.reader.next()).toEqual(ended)
}

async function look({ broker }: Model, log: Log, place: Place, limit: number) {
  const end = log.values.length
  const position = { epoch: log.epoch, offset: end }
  expect(await broker.position(log.name)).toEqual(position)
  const tail = await broker.tail(log.name, limit)
  expect(tail.position).toEqual(position)
  expect(tail.marks).toEqual(log.marks)
  expect(tail.entries).toMatchObject(entriesOf(log, Math.max(log.start, end - limit), end))
  const after = positionAt(log, place)
  const entries = await broker.read(log.name, after, limit)
  if (!reachesBackTo(log, after)) expect(entries).toBeNull()
  else expect(entries).toMatchObject(entriesOf(log, after.offset, Math.min(end, after.offset + limit)))
}

const positionAt = (log: Log, { back, epoch }: Place) => ({
  epoch: epoch ?? log.epoch,
  offset: log.values.length - back,
})

const reachesBackTo = (log: Log, { epoch, offset }: { epoch: string; offset: number }) =>
  epoch === log.epoch && log.start <= offset && offset <= log.values.length

const entriesOf = (log: Log, start: number, end: number) =>
  log.values.slice(start, end).map((data, index) => ({ offset: start + index + 1, data }))
