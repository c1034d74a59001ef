import { randomUUID } from 'node:crypto'
import { type GraphQLInputType, type GraphQLInterfaceType, getNamedType, isInputObjectType } from 'graphql'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { decodeId, encodeId, newId } from '../../src/lib/ids.ts'
import { schema } from '../../src/schema.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { query } from '../support/postgres.ts'
import { indexed } from './documents.harness.ts'
import { type Ids, matrix, ofEachType } from './tenancy.matrix.ts'

const canary = 'canary-5f2e'
const tenantCanary = 'fernet-91c0'
const alice = { user: `${canary}-alice`, tenant: `${tenantCanary}-acme` }

let app: TestApp
let alices: Ids
let table: string

beforeAll(async () => {
  app = await startTestApp()
  alices = await fill()
  const rows = await query<{ name: string }>(
    app.databaseUrl,
    `SELECT relname AS name FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
     AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'tenant_id')`,
  )
  expect(rows.length).toBeGreaterThan(5)
  table = rows
    .map(({ name }) => `SELECT '${name}' AS name, tenant_id, to_jsonb(t)::text AS row FROM ${name} t`)
    .join(' UNION ALL ')
})

/** A session of alice's in which every text is a canary, with a run that waits for the results of its tools. */
async function fill(): Promise<Ids> {
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
  await api.mutate('updateSession', { sessionId: session, documentIds: [document.id] })
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

/** Every row of a tenant, as text. */
async function rowsOf(tenantId: string): Promise<string[]> {
  const rows = await query<{ row: string }>(
    app.databaseUrl,
    `SELECT name || row AS row FROM (${table}) every WHERE tenant_id = $1 ORDER BY 1`,
    { values: [decodeId(tenantId).uuid] },
  )
  return rows.map(({ row }) => row)
}

const strangers: [string, Identity][] = [
  ['a user of another tenant', { user: 'bob', tenant: 'globex', role: 'USER' }],
  ['an admin of another tenant', { user: 'root', tenant: 'globex', role: 'ADMIN' }],
  ['a service of another tenant', { user: 'robot', tenant: 'globex', role: 'SERVICE' }],
  ['another user of the tenant', { user: 'carol', tenant: alice.tenant, role: 'USER' }],
]

describe('the matrix', () => {
  it('has every field of the schema', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]
    const fields = roots.flatMap((root) =>
      Object.keys(root?.getFields() ?? {}).map((name) => `${root}.${name}`),
    )
    expect(Object.keys(matrix).sort()).toEqual(fields.sort())
  })

  it('has every type with an id', () => {
    const types = schema.getPossibleTypes(schema.getType('Node') as GraphQLInterfaceType)
    expect([...ofEachType].sort()).toEqual(types.map(({ name }) => name).sort())
  })

  it('has every id that can be given', () => {
    const missing = Object.entries(matrix).flatMap(([name, cases]) => {
      const [root = '', field = ''] = name.split('.')
      const args = (schema.getType(root) as NonNullable<ReturnType<typeof schema.getQueryType>>).getFields()[
        field
      ]?.args
      const used = cases.flatMap(({ operation }) => namesIn(operation)).join()
      const given = cases.flatMap(({ variables }) => pathsOf(variables?.(alices, alices.Session) ?? {}))
      return (args ?? [])
        .flatMap((arg) => idPaths(arg.name, arg.type))
        .filter((path) => !given.includes(path) && !used.includes(path))
        .map((path) => `${name}(${path})`)
    })
    expect(missing).toEqual([])
  })
})

/** Names of the arguments that an operation hands a variable to. */
const namesIn = (operation: string) => [...operation.matchAll(/(\w+): \$/g)].map(([, name]) => name)

function idPaths(path: string, type: GraphQLInputType): string[] {
  const named = getNamedType(type)
  if (isInputObjectType(named))
    return Object.values(named.getFields()).flatMap((field) => idPaths(`${path}.${field.name}`, field.type))
  // An agent is named by its key or its id.
  return named.name === 'ID' || path.endsWith('.agent') ? [path] : []
}

const pathsOf = (value: object, prefix = ''): string[] =>
  Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? pathsOf(inner, `${prefix}${key}.`)
      : [`${prefix}${key}`],
  )

describe.each(strangers)('%s', (_name, stranger) => {
  // The two ways of HTTP differ in how an operation is run, not in who may what.
  const doors = stranger.role === 'USER' ? doorNames : (['http', 'websocket'] as const)
  it.each(doors)('learns and changes nothing over %s', (door) => tryEverything(stranger, door))
})

it('holds by the filters alone, where row-level security lets everything pass', async () => {
  const policies = await query<{ table: string }>(
    app.databaseUrl,
    `SELECT tablename AS table FROM pg_policies WHERE policyname = 'own_tenant'`,
  )
  const open = async (isOpen: boolean) => {
    for (const { table } of policies) {
      const own = `${table === 'tenants' ? 'id' : 'tenant_id'} = nullif(current_setting('app.tenant', true), '')::uuid`
      await query(app.databaseUrl, `ALTER POLICY own_tenant ON ${table} USING (${isOpen ? 'true' : own})`)
    }
  }
  await open(true)
  onTestFinished(() => open(false))
  for (const stranger of ['USER', 'ADMIN'] as const)
    await tryEverything({ user: 'mallory', tenant: 'globex', role: stranger }, 'http')
})

/** Asks for everything in the matrix with alice's ids, and sees no more of it than of ids that nobody has. */
async function tryEverything(stranger: Identity, door: (typeof doorNames)[number]) {
  const doors = await openDoors(app.url, app.token(stranger))
  const ownSession = await app.api(stranger).createSession()
  const before = await rowsOf(alices.Tenant)
  const isOfTenant = stranger.tenant === alice.tenant

  for (const [name, cases] of Object.entries(matrix))
    for (const { operation, variables, refused, isSharedInTenant, exceptFor } of cases) {
      if (isSharedInTenant && isOfTenant) continue
      const random = Object.fromEntries(ofEachType.map((type) => [type, encodeId(type, randomUUID())])) as Ids
      const answer = await doors[door](operation, variables?.(alices, ownSession))
      const expected = exceptFor && exceptFor.role === stranger.role ? exceptFor.refused : refused
      expect(answer, `${name} ${operation}`).toMatchObject(expected as object)
      expect(await doors[door](operation, variables?.(random, ownSession)), name).toEqual(answer)
      const text = JSON.stringify(answer)
      expect(text).not.toContain(canary)
      if (!isOfTenant) expect(text).not.toContain(tenantCanary)
    }

  expect(await rowsOf(alices.Tenant)).toEqual(before)
  doors.close()
}

/** Has nothing of alice's: it is for admins, or the same for everybody. */
const isForAdminsOrAll = new Set([
  'Query.users',
  'Query.auditLog',
  'Query.models',
  'Query.systemStatus',
  'Subscription.modelProgress',
  'Subscription.systemStatusChanged',
])

it('shows all of it to its owner, so that the refusals above mean something', async () => {
  const doors = await openDoors(app.url, app.token(alice))
  const ownSession = alices.Session
  const reading = Object.entries(matrix).filter(([name]) => !name.startsWith('Mutation.'))
  for (const door of doorNames)
    for (const [name, cases] of reading)
      for (const { operation, variables } of cases) {
        // Tell of what comes only.
        if (name === 'Subscription.messageAdded' || name === 'Subscription.sessionChanged') continue
        if (isForAdminsOrAll.has(name)) continue
        const text = JSON.stringify(await doors[door](operation, variables?.(alices, ownSession)))
        expect(text.includes(canary) || text.includes(tenantCanary), `${name}: ${text}`).toBe(true)
      }
  doors.close()
})
