/** A prepared statement: `name` is unique to `text` in the whole program. */
export type Statement = { name: string; text: string }

/** Runs one statement and gives its rows; columns are named as the statement names them. */
export type RunStatement = <Row extends object>(
  statement: Statement,
  values: readonly unknown[],
) => Promise<Row[]>

export type Sql = RunStatement & { readonly pipeline: Pipeline }

/**
 * One statement of a pipeline. `values` are known before the pipeline is sent, `read` says what the rows mean; what it
 * throws comes too late to take anything back, but in a transaction.
 */
export type Step<Result> = {
  statement: Statement
  values: readonly unknown[]
  read(rows: never[]): Result
}

/**
 * Runs statements one after another in one round trip, all or none: outside a transaction they are one by themselves.
 * Each sees what those before it did, and what others had committed when its turn came.
 */
export type Pipeline = <Results extends readonly unknown[] | []>(
  steps: {
    [At in keyof Results]: Step<Results[At]>
  },
) => Promise<Results>

/** A step that gives its rows as they are. */
export const rowsOf = <Row extends object>(
  statement: Statement,
  values: readonly unknown[],
): Step<readonly Row[]> => ({ statement, values, read: (rows: Row[]) => rows })

/** One step by itself. */
export const runStep = async <Result>(
  sql: RunStatement,
  { statement, values, read }: Step<Result>,
): Promise<Result> => read((await sql(statement, values)) as never[])
