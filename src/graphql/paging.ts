import type { ObjectRef } from '@pothos/core'
import type { Page, PageArgs, PageSizes } from '../lib/paging.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import type { Path } from './selection.ts'

type Types = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer Inferred> ? Inferred : never

const PageInfo = builder.objectRef<Page<object>>('PageInfo').implement({
  description: 'Where a page stands in its list.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether there is more after this page.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether there is more before this page.',
    }),
    startCursor: t.field({
      type: 'Cursor',
      nullable: true,
      description: 'Cursor of the first node; null on an empty page.',
      resolve: ({ rows: [first], cursorOf }) => first && cursorOf(first),
    }),
    endCursor: t.field({
      type: 'Cursor',
      nullable: true,
      description: 'Cursor of the last node; null on an empty page.',
      resolve: ({ rows, cursorOf }) => (rows.length > 0 ? cursorOf(rows.at(-1) as object) : null),
    }),
  }),
})

/** Where the rows of a page are selected. */
export const rowPaths: readonly Path[] = [['nodes'], ['edges', 'node']]

/** The connection has counted its page already; as a list, the field would be counted five times more. */
const countedByPage = { field: 1, multiplier: 1 }

/** Defines `<Name>Edge` and `<Name>Connection` over a node type. */
export function connectionOf<Row extends object>(name: string, node: ObjectRef<Types, Row>, noun: string) {
  const Edge = builder.objectRef<{ cursor: string; node: Row }>(`${name}Edge`).implement({
    description: `One ${noun} in a list, with its place.`,
    fields: (t) => ({
      cursor: t.expose('cursor', { type: 'Cursor', description: `The place of this ${noun} in the list.` }),
      node: t.field({ type: node, description: `The ${noun}.`, resolve: (edge) => edge.node as never }),
    }),
  })
  return builder.objectRef<Page<Row>>(`${name}Connection`).implement({
    description: `A page of a list of ${noun}s.`,
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        complexity: countedByPage,
        description: `The ${noun}s of this page, each with its cursor.`,
        resolve: (page) => page.rows.map((row) => ({ cursor: page.cursorOf(row), node: row })),
      }),
      nodes: t.field({
        type: [node],
        complexity: countedByPage,
        description: `The ${noun}s of this page.`,
        resolve: (page) => page.rows as never,
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'Where this page stands in the list.',
        resolve: (page) => page as never,
      }),
      totalCount: t.int({
        description: 'How many there are in all pages; counted only when asked for.',
        resolve: (page) => page.totalCount(),
      }),
    }),
  })
}

type ArgBuilder = Parameters<Parameters<typeof builder.queryField>[1]>[0]['arg']

/** The arguments of every paged field. */
export const pageArgs = (arg: ArgBuilder, sizes: { default: number | string; max: number | string }) => ({
  first: arg.int({
    description: `Page size, counted from the start or from \`after\`; ${sizes.default} by default, at most ${sizes.max}.`,
  }),
  after: arg({ type: 'Cursor', description: 'Goes on after this place.' }),
  last: arg.int({
    description: `Page size, counted back from the end or from \`before\`; at most ${sizes.max}.`,
  }),
  before: arg({ type: 'Cursor', description: 'Goes back from this place.' }),
  offset: arg.int({
    description:
      'Leaves out this many from the start, at most 1,000,000; for paging by number, not together with a cursor.',
  }),
})

/** Fixed, or as the settings of the server have them. */
type Sizes = PageSizes | ((context: Context) => PageSizes)

/**
 * Counts the selection under a paged field once for each row that may come. Of a page that is too large none does: the
 * list says so, and that tells more than what the page would cost.
 */
export const pageComplexity = (sizes: Sizes) => (args: PageArgs, context: Context) => {
  const { default: usual, max } = typeof sizes === 'function' ? sizes(context) : sizes
  const asked = args.first ?? args.last ?? usual
  const rows = asked > max ? 0 : asked
  return { field: 1, multiplier: Math.max(1, rows) }
}
