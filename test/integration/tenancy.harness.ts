import { expect } from 'vitest'
import { decodeId, encodeId, newId } from '../../src/lib/ids.ts'
import type { Identity, TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { indexed } from './documents.harness.ts'
import type { Ids } from './tenancy.matrix.ts'

/** In every text of alice's, and in what she shares with her tenant. */
export const canary = 'canary-5f2e'
export const tenantCanary = 'fernet-91c0'
export const alice = { user: `${canary}-alice`, tenant: `${tenantCanary}-acme` }

/** A session of alice's in which every text is a canary, with a run that waits for the results of its tools. */
export async function fillForAlice(app: TestApp): Promise<Ids> {
  const api = app.api(alice)
  const session = await api.createSession({
    agent: 'primary',
    title: `Title ${canary}`,
    systemPrompt: `Prompt ${canary}`,
    metadata: { note: canary },
    tags: [canary],
    clientId: canary,
  })
  const { addMessages } = await api.run(
    `mutation ($input: AddMessagesInput!) { addMessages(input: $input) {
      ... on AddMessagesPayload { messages { id } } ... on Error { message } } }`,
    {
      input: {
        sessionId: session,
        messages: [
          { role: 'USER', content: `Question ${canary}`, metadata: { note: canary } },
          { role: 'ASSISTANT', content: `Answer ${canary}` },
        ],
      },
    },
  )
  expect(
    await app.api({ ...alice, role: 'ADMIN' }).mutate('setModelDefaults', {
      model: 'demo:chat',
      parameters: { stop: [tenantCanary] },
    }),
  ).not.toHaveProperty('code')
  const { template } = await api.mutate(
    'createTemplate',
    {
      name: `Template ${tenantCanary}`,
      systemPrompt: tenantCanary,
      openingMessages: [{ role: 'USER', content: tenantCanary }],
    },
    'template { id }',
  )
  const memory = { key: `note ${canary}`, value: canary }
  const places = [{ scope: 'USER' }, { scope: 'SESSION', sessionId: session }]
  for (const place of places)
    expect(await api.mutate('saveMemory', { ...place, ...memory })).not.toHaveProperty('code')
  const { memories } = await api.run('{ memories { nodes { id } } }')
  const { document } = await api.mutate(
    'createDocument',
    { title: `Title ${canary}`, text: `A passage ${canary}`, metadata: { note: canary } },
    'document { id }',
  )
  await indexed(api, document.id)
  await api.change('updateSession', { sessionId: session, documentIds: [document.id] })
  const forked = { sessionId: session, atMessageId: addMessages.messages[0].id }
  expect(await api.mutate('forkSession', forked)).not.toHaveProperty('code')
  const [question, answer] = addMessages.messages.map(({ id }: { id: string }) => decodeId(id).uuid)
  const run = newId()
  const values = [run, question, answer]
  await query(
    app.databaseUrl,
    `INSERT INTO runs (tenant_id, id, session_id, user_id, status, model, user_message_id, assistant_message_id)
     SELECT s.tenant_id, $1, s.id, s.user_id, 'REQUIRES_ACTION', 'demo:${canary}', $2, $3
     FROM messages m JOIN sessions s ON s.id = m.session_id WHERE m.id = $2`,
    { values },
  )
  await query(
    app.databaseUrl,
    `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
       output_tokens, cached_input_tokens, cost)
     SELECT tenant_id, $2, user_id, id, agent_id, 'demo:${canary}', 'COMPLETED', 1, 1, 0, 1 FROM sessions WHERE id = $1`,
    { values: [decodeId(session).uuid, newId()] },
  )
  await query(app.databaseUrl, `UPDATE messages SET status = 'STREAMING', run_id = $1 WHERE id = $2`, {
    values: [run, answer],
  })
  await query(
    app.databaseUrl,
    `INSERT INTO citations (tenant_id, message_id, marker, document_id, score, start_offset, end_offset, content)
     SELECT tenant_id, $1, 1, id, 1, 0, 1, 'Cited ${canary}' FROM documents WHERE id = $2`,
    { values: [answer, decodeId(document.id).uuid] },
  )
  await query(
    app.databaseUrl,
    `UPDATE agents SET system_prompt = $1 WHERE key = 'primary' AND tenant_id =
    (SELECT id FROM tenants WHERE slug = $2)`,
    { values: [tenantCanary, alice.tenant] },
  )
  const found = await api.run(
    'query ($id: ID!) { viewer { tenant { id } user { id } } session(id: $id) { agent { id } } }',
    { id: session },
  )
  return {
    Tenant: found.viewer.tenant.id,
    User: found.viewer.user.id,
    Agent: found.session.agent.id,
    Session: session,
    Message: encodeId('Message', answer),
    Run: encodeId('Run', run),
    Template: template.id,
    Memory: memories.nodes[0].id,
    Document: document.id,
  }
}

/** Makes somebody a co-owner of a session of alice's, who uses it, and removes them again. */
export async function shareForAWhile(
  app: TestApp,
  sessionId: string,
  { user, tenant }: Identity,
): Promise<void> {
  const shared = { sessionId, externalUserId: user, role: 'OWNER' }
  const added = await app.api(alice).change('addParticipant', shared, 'user { id }')
  const guest = app.api({ user, tenant })
  await guest.change('markRead', { sessionId })
  const { session } = await guest.run(
    'query ($id: ID!) { session(id: $id) { viewerRole messages { nodes { content } } documents { title } } }',
    { id: sessionId },
  )
  expect(session.viewerRole).toBe('OWNER')
  expect(JSON.stringify(session)).toContain(canary)
  await app.api(alice).change('removeParticipant', { sessionId, userId: added.user.id })
}

/** Gives every row of a tenant, as text. */
export async function rowReader(app: TestApp): Promise<(tenantId: string) => Promise<string[]>> {
  const tables = await query<{ name: string }>(
    app.databaseUrl,
    `SELECT relname AS name FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
     AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'tenant_id')`,
  )
  expect(tables.length).toBeGreaterThan(5)
  const every = tables
    .map(({ name }) => {
      // Of a user it is written down now and then that it is there.
      const row = name === 'users' ? `(to_jsonb(t) - 'updated_at')` : 'to_jsonb(t)'
      return `SELECT '${name}' AS name, tenant_id, ${row}::text AS row FROM ${name} t`
    })
    .join(' UNION ALL ')
  return async (tenantId) => {
    const rows = await query<{ row: string }>(
      app.databaseUrl,
      `SELECT name || row AS row FROM (${every}) every WHERE tenant_id = $1 ORDER BY 1`,
      { values: [decodeId(tenantId).uuid] },
    )
    return rows.map(({ row }) => row)
  }
}
