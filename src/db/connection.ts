import pg from 'pg'

/**
 * A connection whose queries are promises made here. Those of pg get their callback when the query exists already, and
 * all that they hold, rows included, then outlives collections of young objects: found by trying one form after the other,
 * the reason within V8 is not known. `test/integration/request-garbage.test.ts` counts it.
 */
export class Connection extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: pg gives this many forms
  override query(config: any, values?: any, callback?: any): any {
    if (typeof config?.submit === 'function' || typeof values === 'function' || callback)
      return super.query(config, values, callback)
    return new Promise((resolve, reject) => {
      super.query(config, values, (error: Error | null, result: pg.QueryResult) =>
        error ? reject(error) : resolve(result),
      )
    }).catch((error: Error) => {
      // Where it was asked for says more than the socket that the fault came from.
      Error.captureStackTrace(error)
      throw error
    })
  }
}
