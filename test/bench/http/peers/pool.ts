import pg from 'pg'

/** What the peers that write their SQL by hand share. */
export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })

/** A prepared statement. */
export const ask = async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
  (await pool.query<Row>({ name, text, values })).rows
