import type { Sql, Statement } from './steps.ts'

const repeatRead: Statement = {
  name: 'repeatable-read',
  text: 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
}

/**
 * Has all statements of this transaction see one state of the database; to be called before the first of them. One that
 * changes a row which another transaction has changed since then fails (SQLSTATE 40001).
 */
export async function seeOneState(sql: Sql): Promise<void> {
  await sql(repeatRead, [])
}
