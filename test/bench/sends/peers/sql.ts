/**
 * The bound of a send: one statement stores the message, the empty reply and the run; when it is answered, another one
 * stores the end of the run, its reply and its usage. No tenant is bound, nobody is signed in and nothing is told.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import pg from 'pg'
import { listenAsPeer } from '../../http/peers/peer.ts'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })

const begin = {
  name: 'begin',
  text: `WITH s AS (
      UPDATE sessions SET last_seq = last_seq + 2, message_count = message_count + 2, revision = revision + 1,
        last_message_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE id = $1 RETURNING tenant_id, id, user_id, last_seq
    ), m AS (
      INSERT INTO messages (tenant_id, id, session_id, seq, role, content, author_id, run_id, status)
      SELECT tenant_id, $2::uuid, id, last_seq - 1, 'USER'::"MessageRole", $5, user_id, $4::uuid,
        'COMPLETE'::"MessageStatus" FROM s
      UNION ALL SELECT tenant_id, $3::uuid, id, last_seq, 'ASSISTANT', '', NULL, $4::uuid, 'STREAMING' FROM s
      RETURNING id, seq, role, status, created_at AS "createdAt"
    ), r AS (
      INSERT INTO runs (tenant_id, id, session_id, user_id, model, user_message_id, assistant_message_id, status,
        started_at)
      SELECT tenant_id, $4::uuid, id, user_id, 'bench:sql', $2::uuid, $3::uuid, 'RUNNING', clock_timestamp() FROM s
    )
    SELECT * FROM m ORDER BY seq`,
}

const end = {
  name: 'end',
  text: `WITH r AS (
      UPDATE runs SET status = 'COMPLETED', input_tokens = 1, output_tokens = 1, finished_at = clock_timestamp(),
        first_token_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE id = $1 RETURNING *
    ), m AS (
      UPDATE messages m SET status = 'COMPLETE', finish_reason = 'STOP', content = $2, input_tokens = 1,
        output_tokens = 1, model = r.model, updated_at = clock_timestamp()
      FROM r WHERE m.tenant_id = r.tenant_id AND m.id = r.assistant_message_id
    ), s AS (
      UPDATE sessions s SET revision = revision + 1, input_tokens = s.input_tokens + 1,
        output_tokens = s.output_tokens + 1, run_count = run_count + 1, last_message_at = clock_timestamp(),
        updated_at = clock_timestamp()
      FROM r WHERE s.tenant_id = r.tenant_id AND s.id = r.session_id
    )
    INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, model, status, input_tokens, output_tokens,
      cached_input_tokens, cost, created_at)
    SELECT tenant_id, id, user_id, session_id, model, status, input_tokens, output_tokens, 0, 0, finished_at FROM r`,
}

listenAsPeer(
  createServer(async (request, response) => {
    const { sessionId, content } = (await json(request)) as { sessionId: string; content: string }
    const runId = randomUUID()
    const values = [sessionId, randomUUID(), randomUUID(), runId, content]
    const { rows } = await pool.query({ ...begin, values })
    const [userMessage, assistantMessage] = rows
    const text = JSON.stringify({ userMessage, assistantMessage, run: { id: runId, status: 'RUNNING' } })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
    await pool.query({ ...end, values: [runId, 'Done.'] })
  }),
)
