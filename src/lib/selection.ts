/** What an operation selects on rows: `query` is Prisma's form of what hangs on them, `fields` all names. */
export type Selection = { query: object; fields: ReadonlySet<string> }
