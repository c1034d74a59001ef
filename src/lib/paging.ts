import { isStorable, isStorableDate } from './checks.ts'
import { invalid } from './errors.ts'
import { isUuid } from './ids.ts'

/**
 * Relay connections over keyset cursors of our own: a cursor holds the values of the order's keys, so a row that was
 * deleted meanwhile never empties the next page. `offset` is there for people who page by number.
 */
export type PageArgs = {
  first?: number | null
  after?: string | null
  last?: number | null
  before?: string | null
  offset?: number | null
}

/** One key of an order. The last key of an order is unique and not nullable. */
export type OrderKey = {
  field: string
  direction: 'asc' | 'desc'
  type: 'text' | 'int' | 'float' | 'date' | 'uuid'
  /** Nulls come last in either direction. */
  nullable?: boolean
}

/** The rows before a page by number are read, too; and what is added to it must stay an int of the database. */
export const maxOffset = 1_000_000

export type PageSizes = { default: number; max: number }

export type Page<Row> = {
  rows: Row[]
  hasNextPage: boolean
  hasPreviousPage: boolean
  cursorOf: (row: Row) => string
  /** Counts only when it is selected. */
  totalCount: () => Promise<number>
}

type PrismaOrder = Record<string, 'asc' | 'desc' | { sort: 'asc' | 'desc'; nulls: 'first' | 'last' }>

export type PageQuery = { where: object; orderBy: PrismaOrder[]; take: number; skip: number }

/** Where a page lies in its list; `keys` and `backward` say how to read it. */
export type PagePlan = {
  /** The order in which to read: turned round for a page that is counted back. */
  keys: readonly OrderKey[]
  backward: boolean
  /** The values of the keys at the cursor; null from the start. */
  beyond: readonly unknown[] | null
  /** One more than asked for tells whether there is a next page. */
  take: number
  skip: number
}

/** Checks the arguments of a page; throws a `ValidationError`. */
export function planPage(args: PageArgs, sizes: PageSizes, order: readonly OrderKey[]): PagePlan {
  const { size, backward, offset } = checkArgs(args, sizes)
  const name = backward ? 'before' : 'after'
  const cursor = args[name]
  return {
    keys: backward ? order.map(flip) : order,
    backward,
    beyond: cursor == null ? null : decodeCursor(order, cursor, name),
    take: size + 1,
    skip: offset,
  }
}

/** The page of the rows that were read after a plan. */
export function pageOf<Row extends object>(
  { backward, beyond, take, skip }: PagePlan,
  order: readonly OrderKey[],
  rows: readonly Row[],
  count: () => Promise<number>,
): Page<Row> {
  const hasMore = rows.length === take
  const page = rows.slice(0, take - 1)
  if (backward) page.reverse()
  const hasBehind = beyond !== null || skip > 0
  return {
    rows: page,
    hasNextPage: backward ? hasBehind : hasMore,
    hasPreviousPage: backward ? hasMore : hasBehind,
    cursorOf: (row) => encodeCursor(order, row),
    totalCount: count,
  }
}

/** Reads one page; `find` runs the query that it is given, `where` is to be combined with the list's own filter. */
export async function readPage<Row extends object>(options: {
  args: PageArgs
  sizes: PageSizes
  order: readonly OrderKey[]
  find: (query: PageQuery) => Promise<Row[]>
  count: () => Promise<number>
}): Promise<Page<Row>> {
  const { args, sizes, order, find, count } = options
  const plan = planPage(args, sizes, order)
  const { keys, backward, take, skip } = plan
  const rows = await find({
    where: plan.beyond ? beyond(keys, plan.beyond, backward) : {},
    orderBy: keys.map((key) => orderBy(key, backward)),
    take,
    skip,
  })
  return pageOf(plan, order, rows, count)
}

function checkArgs(args: PageArgs, sizes: PageSizes) {
  const backward = args.last != null || (args.before != null && args.first == null)
  if (args.first != null && args.last != null) throw invalid('last', 'cannot be combined with first')
  if (args.after != null && args.before != null) throw invalid('before', 'cannot be combined with after')
  if (args.after != null && args.last != null) throw invalid('last', 'goes with before, not with after')
  if (args.before != null && args.first != null) throw invalid('first', 'goes with after, not with before')
  if (args.offset != null && (args.after != null || backward))
    throw invalid('offset', 'cannot be combined with after, before or last')
  const name = backward ? 'last' : 'first'
  const size = args[name] ?? sizes.default
  if (size < 1 || size > sizes.max)
    throw invalid(name, `${size} is out of range; allowed is 1 to ${sizes.max}`)
  const offset = args.offset ?? 0
  if (offset < 0 || offset > maxOffset)
    throw invalid('offset', `${offset} is out of range; allowed is 0 to ${maxOffset}; cursors go further`)
  return { size, backward, offset }
}

const flip = (key: OrderKey): OrderKey => ({ ...key, direction: key.direction === 'asc' ? 'desc' : 'asc' })

const orderBy = ({ field, direction, nullable }: OrderKey, backward: boolean): PrismaOrder => ({
  [field]: nullable ? { sort: direction, nulls: backward ? 'first' : 'last' } : direction,
})

/** Filter for the rows after the given values: (a > x) or (a = x and b > y) … */
function beyond(keys: readonly OrderKey[], values: readonly unknown[], backward: boolean): object {
  const alternatives = keys.flatMap((key, index) => {
    const same = keys.slice(0, index).map((each, at) => ({ [each.field]: values[at] }))
    return keyBeyond(key, values[index], backward).map((condition) => ({ AND: [...same, condition] }))
  })
  const [first] = keys
  // Redundant, but it is what lets PostgreSQL start the index scan at the cursor.
  const range =
    first && !first.nullable
      ? { [first.field]: { [first.direction === 'asc' ? 'gte' : 'lte']: values[0] } }
      : {}
  return { AND: [range, { OR: alternatives }] }
}

function keyBeyond({ field, direction, nullable }: OrderKey, value: unknown, backward: boolean): object[] {
  if (value === null) return backward ? [{ [field]: { not: null } }] : []
  const further = { [field]: { [direction === 'asc' ? 'gt' : 'lt']: value } }
  return nullable && !backward ? [further, { [field]: null }] : [further]
}

function encodeCursor(order: readonly OrderKey[], row: object): string {
  const values = order.map(({ field }) => (row as Record<string, unknown>)[field])
  return Buffer.from(JSON.stringify([signature(order), ...values])).toString('base64url')
}

const signature = (order: readonly OrderKey[]) =>
  order.map(({ field, direction }) => `${field} ${direction}`).join()

function decodeCursor(order: readonly OrderKey[], cursor: string, name: string): unknown[] {
  const fault = invalid(name, 'is not a cursor of this list in this order')
  let values: unknown
  try {
    values = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    throw fault
  }
  if (!Array.isArray(values) || values.length !== order.length + 1 || values[0] !== signature(order))
    throw fault
  return order.map((key, index) => {
    const value: unknown = values[index + 1]
    const read = readers[key.type](value)
    if (value === null ? !key.nullable : read === undefined) throw fault
    return read ?? null
  })
}

const readers = {
  text: (value: unknown) => (typeof value === 'string' && isStorable(value) ? value : undefined),
  uuid: (value: unknown) => (typeof value === 'string' && isUuid(value) ? value : undefined),
  int: (value: unknown) =>
    typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? value : undefined,
  float: (value: unknown) => (typeof value === 'number' ? value : undefined),
  date: (value: unknown) => {
    const date = typeof value === 'string' ? new Date(value) : undefined
    return date && isStorableDate(date) && date.toISOString() === value ? date : undefined
  },
}
