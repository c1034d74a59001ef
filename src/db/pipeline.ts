import pg from 'pg'
import { valueParsers } from './value-parsers.ts'

/**
 * Sends queries one after another over a connection in one round trip: outside a transaction they are one by themselves.
 * Where one fails the server skips those behind it.
 */
export const sendTogether = (
  client: pg.ClientBase,
  queries: readonly pg.QueryConfig[],
): Promise<pg.QueryResult[]> =>
  new Promise((resolve, reject) => {
    client.query(new PipelinedQuery(queries, (error, results) => (error ? reject(error) : resolve(results))))
  })

/** What pg's own query does with a message of the server; its types leave that out. */
type Query = Omit<pg.Query, 'submit'> & {
  readonly name: string | undefined
  readonly text: string
  submit(connection: Connection): Error | null
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, connection: Connection): void
  handleReadyForQuery(connection: Connection): void
}

type Connection = pg.Connection & {
  sync(): void
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
}

type Done = (error: Error | null, results: pg.QueryResult[]) => void

/**
 * Several queries of pg with one end: the server commits, answers and is waited for once. pg takes it for one query, and
 * gives it the answers of all in their order. Its own mode of pipelines has each query commit by itself.
 */
export class PipelinedQuery implements pg.Submittable {
  readonly #queries: readonly Query[]
  readonly #results: pg.QueryResult[] = []
  readonly #done: Done
  #fault: Error | null = null
  #at = 0

  constructor(queries: readonly pg.QueryConfig[], done: Done) {
    this.#done = done
    this.#queries = queries.map((query) => {
      const took = (error: Error | undefined, result: pg.ResultBuilder) => {
        if (error) this.#fault ??= error
        else this.#results.push(result)
      }
      // The simple protocol, which pg takes for queries without values, knows no pipelines.
      const extended = { types: valueParsers, ...query, queryMode: 'extended' }
      return new pg.Query(extended, took) as unknown as Query
    })
  }

  // pg notes under these that a statement is prepared.
  get name() {
    return this.#queries[this.#at]?.name
  }
  get text() {
    return this.#queries[this.#at]?.text
  }

  submit = (given: pg.Connection): void => {
    const connection = given as Connection
    const unended: Connection = Object.create(connection, { sync: { value() {} } })
    connection.stream.cork()
    for (const query of this.#queries) {
      const fault = query.submit(unended) ?? this.#fault
      // Two texts under one name, or a value that has no form to be sent in: nothing has left yet, and none of it may.
      if (fault) return void connection.stream.destroy(fault)
    }
    connection.sync()
    connection.stream.uncork()
  }

  handleRowDescription(message: unknown) {
    this.#queries[this.#at]?.handleRowDescription(message)
  }

  handleDataRow(message: unknown) {
    this.#queries[this.#at]?.handleDataRow(message)
  }

  handleCommandComplete(message: unknown, connection: Connection) {
    this.#queries[this.#at]?.handleCommandComplete(message, connection)
    this.#at += 1
  }

  /** In place of a completed command, where there was none between the statement's comments. */
  handleEmptyQuery() {
    this.#at += 1
  }

  handleError(error: Error, { parsedStatements, submittedNamedStatements }: Connection) {
    // What stood behind the fault was not looked at.
    for (const { name } of this.#queries)
      if (name && parsedStatements[name] === undefined) delete submittedNamedStatements[name]
    this.#done(error, [])
  }

  handleReadyForQuery(connection: Connection) {
    for (const query of this.#queries) query.handleReadyForQuery(connection)
    this.#done(this.#fault, this.#results)
  }
}
