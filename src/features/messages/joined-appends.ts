import { actsForTenant, isEditorSql } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Sql, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { isFaultOfRow } from '../../db/failures.ts'
import { type Draft, insertDrafts, type Numbered, type Place, placed, raised } from './append.ts'

// Much of what a message by itself costs the database is not the message but the statement, the commit and the wait for the
// disk. A session that is locked is skipped: nobody's message waits for a session that is not its own, and since the
// statement waits for no session it cannot be in a deadlock over them.
const appendJoined: Statement = {
  name: 'message-append-joined',
  text: `WITH a AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($2::jsonb) AS a(id uuid, writer uuid, count int, title text, keys text[])
    ), free AS MATERIALIZED (
      SELECT s.id, a.count, a.title FROM a JOIN sessions s ON s.tenant_id = $1 AND s.id = a.id
      WHERE s.deleted_at IS NULL AND NOT s.is_stateless AND ${isEditorSql('a.writer')}
        AND (a.keys IS NULL OR NOT EXISTS (SELECT FROM messages o WHERE o.tenant_id = $1 AND o.session_id = a.id
          AND o.client_id = ANY(a.keys)))
      FOR NO KEY UPDATE OF s SKIP LOCKED
    ), s AS (
      UPDATE sessions s SET ${raised('free.count', '0', 'free.title')}
      FROM free WHERE s.tenant_id = $1 AND s.id = free.id
      RETURNING s.id, s.last_seq, s.agent_id, s.last_message_at, s.revision, free.count
    ), m AS (${insertDrafts(
      's.last_seq - s.count + d.place',
      's JOIN jsonb_to_recordset($3::jsonb) AS d',
      'ON d."sessionId" = s.id',
    )})
    SELECT s.id, ${columnsOf('Session', 's', '', [
      'lastSeq',
      'agentId',
      'lastMessageAt',
      'revision',
    ] satisfies (keyof Numbered)[])} FROM s`,
}

type Options = { writer: Viewer; newKeys: readonly string[]; title: string | null }
/** As JSON, the session's and those of its messages. */
type Append = { sessionId: string; session: string; drafts: string }
type Waiting = Append & { resolve(session: Numbered | null): void; reject(error: unknown): void }

/** Of one tenant: those that wait, and how many statements are under way. */
type Line = { waiting: Waiting[]; underWay: number }

/** While one waits for the disk the other is prepared and run; with more, each would carry less. */
const statementsAtOnce = 2
/** What one statement carries at most; a single append may be larger. */
const most = { appends: 32, characters: 250_000 }

/**
 * Appends to different sessions of a tenant as one statement: the first goes at once, and what comes while two are under
 * way goes together with the next. The caller sees to it that it has one append to a session at a time.
 */
export function createJoinedAppends() {
  const lines = new Map<string, Line>()

  async function send(sql: Sql, tenantId: string, line: Line): Promise<void> {
    const some = takeFrom(line.waiting)
    line.underWay += 1
    try {
      const sessions = await run(sql, tenantId, some)
      for (const { sessionId, resolve } of some) resolve(sessions.get(sessionId) ?? null)
    } catch (error) {
      // Of whose fault it is the others must know nothing: each is tried by itself.
      for (const { resolve, reject } of some) isFaultOfRow(error) ? resolve(null) : reject(error)
    }
    line.underWay -= 1
    if (line.waiting.length > 0) void send(sql, tenantId, line)
    else if (line.underWay === 0) lines.delete(tenantId)
  }

  /**
   * Gives what the session numbers its messages by, or null where nothing was stored: somebody else has the session locked,
   * it is not there for the writer, or one of the new keys is in use.
   */
  return (sql: Sql, place: Place, drafts: readonly Draft[], options: Options): Promise<Numbered | null> =>
    new Promise((resolve, reject) => {
      const line = lines.get(place.tenantId) ?? { waiting: [], underWay: 0 }
      lines.set(place.tenantId, line)
      line.waiting.push({ ...appendOf(place.sessionId, drafts, options), resolve, reject })
      if (line.underWay < statementsAtOnce) void send(sql, place.tenantId, line)
    })
}

/** The first in line, as many as a statement carries. */
function takeFrom(waiting: Waiting[]): Waiting[] {
  let characters = 0
  const end = waiting.findIndex(({ drafts }, index) => {
    characters += drafts.length
    return index === most.appends || (index > 0 && characters > most.characters)
  })
  return waiting.splice(0, end < 0 ? waiting.length : end)
}

const appendOf = (
  sessionId: string,
  drafts: readonly Draft[],
  { writer, newKeys, title }: Options,
): Append => ({
  sessionId,
  session: JSON.stringify({
    id: sessionId,
    writer: actsForTenant(writer) ? null : writer.userId,
    count: drafts.length,
    title,
    keys: newKeys.length > 0 ? newKeys : null,
  }),
  drafts: placed(drafts)
    .map((draft) => JSON.stringify({ ...draft, sessionId }))
    .join(),
})

async function run(sql: Sql, tenantId: string, appends: readonly Append[]) {
  const sessions = appends.map(({ session }) => session).join()
  const drafts = appends.map(({ drafts }) => drafts).join()
  const values = [tenantId, `[${sessions}]`, `[${drafts}]`]
  const rows = await sql<Numbered & { id: string }>(appendJoined, values)
  return new Map(rows.map((row) => [row.id, row]))
}
