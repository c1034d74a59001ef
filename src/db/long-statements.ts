import type { Sql, Statement } from './steps.ts'

const limitStatements: Statement = {
  name: 'limit-statements',
  text: `SELECT set_config('statement_timeout', $1, true)`,
}

/**
 * Gives the statements of this transaction that come next more time than others have, in seconds: for those that take
 * whole conversations or documents, however long they are.
 */
export async function allowLongStatements(sql: Sql, seconds = 60): Promise<void> {
  await sql(limitStatements, [`${seconds}s`])
}
