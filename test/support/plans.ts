import pg from 'pg'
import { vi } from 'vitest'

export type Asked = { text: string; values: unknown[] }

/** What is asked of the database by prepared statements whose names begin with this, while `work` goes on. */
export async function askedBy(prefix: string, work: () => Promise<unknown>): Promise<Asked[]> {
  const sent = vi.spyOn(pg.Client.prototype, 'query')
  try {
    await work()
    return sent.mock.calls.flatMap(([asked]) => {
      const { name, text, values } = asked as unknown as Asked & { name?: string }
      return name?.startsWith(prefix) ? { text, values } : []
    })
  } finally {
    sent.mockRestore()
  }
}

type Node = {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Node[]
}

/** `scanned`: tables that were read as a whole. `mostRows`: the most rows that one step read or sorted. */
export type Cost = { scanned: string[]; mostRows: number }

/**
 * What a statement costs a tenant, row-level security included, where PostgreSQL reads no table as a whole that it can read
 * by an index: small tables of tests are like large ones then.
 */
export async function costOf(
  databaseUrl: string,
  { role, tenantId }: { role: 'parley_app' | 'parley_system'; tenantId: string },
  { text, values }: Asked,
): Promise<Cost> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    options: `-c role=${role} -c enable_seqscan=off`,
  })
  await client.connect()
  try {
    await client.query(`SELECT set_config('app.tenant', $1, false)`, [tenantId])
    const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values)
    const steps = stepsOf(rows[0]['QUERY PLAN'][0].Plan)
    return {
      scanned: steps
        .filter((step) => step['Node Type'] === 'Seq Scan')
        .map((step) => step['Relation Name'] ?? ''),
      mostRows: Math.max(...steps.map(rowsOf)),
    }
  } finally {
    await client.end()
  }
}

const stepsOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(stepsOf)]

const rowsOf = (step: Node) =>
  (step['Actual Rows'] +
    (step['Rows Removed by Filter'] ?? 0) +
    (step['Rows Removed by Index Recheck'] ?? 0)) *
  step['Actual Loops']
