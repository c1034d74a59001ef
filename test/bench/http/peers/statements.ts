import pg from 'pg'

/** What the peers that write their SQL by hand share: the pool and the statements. */
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })

export const ask = async <Row extends pg.QueryResultRow>(
  statement: { name: string; text: string },
  values: unknown[],
) => (await pool.query<Row>({ ...statement, values })).rows

export const listSessions = {
  name: 'list',
  text: `SELECT s.id, s.title, s.message_count AS "messageCount", s.created_at AS "createdAt", s.updated_at AS "updatedAt",
      a.name AS agent, (SELECT count(*)::int FROM sessions c
        WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.deleted_at IS NULL) AS total
    FROM sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL
    ORDER BY s.last_message_at DESC, s.id DESC LIMIT 11`,
}

export const readSession = {
  name: 'read',
  text: `SELECT s.id, s.title, s.message_count AS "messageCount", s.created_at AS "createdAt", s.updated_at AS "updatedAt",
      a.name AS agent
    FROM sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL`,
}

export const latestMessages = {
  name: 'latest',
  text: `SELECT m.id, m.session_id AS "sessionId", m.seq, m.role, m.content, m.created_at AS "createdAt"
    FROM unnest($2::uuid[]) AS wanted(id), LATERAL (
      SELECT * FROM messages WHERE tenant_id = $1 AND session_id = wanted.id ORDER BY seq DESC LIMIT $3) m
    ORDER BY m.session_id, m.seq`,
}

export const addMessage = {
  name: 'add',
  text: `WITH s AS (UPDATE sessions SET message_count = message_count + 1, last_seq = last_seq + 1,
      last_message_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE tenant_id = $1 AND id = $2 RETURNING last_seq)
    INSERT INTO messages (tenant_id, id, session_id, seq, role, content)
    SELECT $1, gen_random_uuid(), $2, last_seq, 'USER', $3 FROM s
    RETURNING id, seq, role, content, created_at AS "createdAt"`,
}

export type PeerSession = {
  id: string
  title: string
  messageCount: number
  createdAt: Date
  updatedAt: Date
  agent: string | null
  total?: number
}

export const sessionNode = ({ total: _total, agent, ...row }: PeerSession) => ({
  ...row,
  agent: agent && { name: agent },
})
