import { beforeAll, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const statementTimeoutMs = 1_500

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { DATABASE_STATEMENT_TIMEOUT_MS: `${statementTimeoutMs}` } })
  // One message takes as long as 100,000 may.
  await query(
    app.databaseUrl,
    `CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       PERFORM pg_sleep(${(statementTimeoutMs * 1.3) / 1_000});
       RETURN coalesce(NEW, OLD); END $$;
     CREATE TRIGGER insert_long BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.content = 'Long') EXECUTE FUNCTION take_long();
     CREATE TRIGGER delete_long BEFORE DELETE ON messages FOR EACH ROW WHEN (OLD.content = 'Long') EXECUTE FUNCTION take_long();`,
  )
})

/** A session with one such message. */
async function prepare(user: string) {
  const api = app.api({ user })
  const sessionId = await api.createSession()
  const { messages } = await api.mutate(
    'addMessages',
    { sessionId, messages: [{ role: 'USER', content: 'Short' }] },
    'messages { id }',
  )
  await query(app.databaseUrl, `UPDATE messages SET content = 'Long' WHERE session_id = $1`, {
    values: [decodeId(sessionId).uuid],
  })
  return { api, sessionId, messageId: messages[0].id }
}

it('a session may take longer to be forked and purged than other statements', async () => {
  const { api, sessionId, messageId } = await prepare('fay')
  const { errors } = await api.send(
    `mutation ($id: ID!) { addMessages(input: { sessionId: $id, messages: [{ role: USER, content: "Long" }] }) {
      __typename } }`,
    { id: sessionId },
  )
  expect(errors?.[0]?.extensions.code).toBe('RATE_LIMITED')
  const fork = await api.mutate(
    'forkSession',
    { sessionId, atMessageId: messageId },
    'session { messageCount }',
  )
  expect(fork).toEqual({ session: { messageCount: 1 } })
  expect(await api.mutate('purgeSession', { sessionId })).toEqual({ __typename: 'PurgeSessionPayload' })
})

it('and so may the sessions of a user who is erased', async () => {
  const { api } = await prepare('eric')
  const { viewer } = await api.run('{ viewer { user { id } } }')
  const erased = await app
    .api({ user: 'ada', role: 'ADMIN' })
    .mutate('eraseUser', { userId: viewer.user.id }, 'sessions messages')
  expect(erased).toEqual({ sessions: 1, messages: 1 })
})
