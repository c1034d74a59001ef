import { randomUUID } from 'node:crypto'
import {
  type GraphQLInputType,
  type GraphQLInterfaceType,
  getNamedType,
  isInputObjectType,
  isObjectType,
} from 'graphql'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeId } from '../../src/lib/ids.ts'
import { createDemoProvider } from '../../src/llm/demo.ts'
import type { ModelRequest } from '../../src/llm/provider.ts'
import { schema } from '../../src/schema.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { freePort } from '../support/free-port.ts'
import { keepLog } from '../support/kept-log.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'
import { type Ids as WayIds, waysFromQuery } from '../support/ways.ts'
import { alice, canary, fillForAlice, rowReader, shareForAWhile, tenantCanary } from './tenancy.harness.ts'
import { type Ids, matrix, ofEachType } from './tenancy.matrix.ts'

let app: TestApp
let alices: Ids
let rowsOf: Awaited<ReturnType<typeof rowReader>>
let metricsUrl: string
const { log, lines } = keepLog()
/** All that models were asked. */
const asked: ModelRequest[] = []
/** What breaks a model that is asked it. */
const breaking = `Break ${canary}`

beforeAll(async () => {
  const demo = createDemoProvider({ tokensPerSecond: 2_000 })
  const stream: typeof demo.stream = (request, signal) => {
    asked.push(request)
    if (request.messages.at(-1)?.content === breaking) throw new Error('The model is broken.')
    return demo.stream(request, signal)
  }
  const metricsPort = await freePort()
  metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
  app = await startTestApp({
    providers: [{ ...demo, stream }],
    env: { METRICS_PORT: String(metricsPort) },
    log,
  })
  alices = await fillForAlice(app)
  await shareForAWhile(app, alices.Session, { user: 'rory', tenant: alice.tenant })
  rowsOf = await rowReader(app)
})
besideNeighbour(() => app)

const strangers: [string, Identity][] = [
  ['a user of another tenant', { user: 'bob', tenant: 'globex', role: 'USER' }],
  ['an admin of another tenant', { user: 'root', tenant: 'globex', role: 'ADMIN' }],
  ['a service of another tenant', { user: 'robot', tenant: 'globex', role: 'SERVICE' }],
  ['another user of the tenant', { user: 'carol', tenant: alice.tenant, role: 'USER' }],
  ['a participant who was removed', { user: 'rory', tenant: alice.tenant, role: 'USER' }],
]

const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]

describe('the matrix', () => {
  it('has every field of the roots', () => {
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

  it('has every id that a field below them can be given', () => {
    const operations = Object.values(matrix).flatMap((cases) => cases.map(({ operation }) => operation))
    const missing = Object.values(schema.getTypeMap())
      .filter(isObjectType)
      .filter((type) => !roots.includes(type))
      .flatMap((type) => Object.values(type.getFields()))
      .flatMap(({ name, args }) =>
        args.flatMap((arg) => idPaths(arg.name, arg.type)).map((path) => `${name}(${path}: $`),
      )
      .filter((given) => !operations.some((operation) => operation.includes(given)))
    expect(missing).toEqual([])
  })
})

/** Names of the arguments that an operation hands a variable to. */
const namesIn = (operation: string) => [...operation.matchAll(/(\w+): \$/g)].map(([, name]) => name)

function idPaths(path: string, type: GraphQLInputType): string[] {
  const named = getNamedType(type)
  if (isInputObjectType(named))
    return Object.values(named.getFields()).flatMap((field) => idPaths(`${path}.${field.name}`, field.type))
  // An agent is named by its key or its id, and a user by the `sub` of its tokens; for the inputs see services-acting.test.ts.
  const isName = path.endsWith('.agent') || (/externalUserId$/.test(path) && !path.startsWith('input.'))
  return named.name === 'ID' || isName ? [path] : []
}

const pathsOf = (value: object, prefix = ''): string[] =>
  Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? pathsOf(inner, `${prefix}${key}.`)
      : [`${prefix}${key}`],
  )

// First, so that whatever the server keeps of its answers is kept when strangers ask.

/** What is found of hers from a session, by every field of every object that the schema leads to. */
async function findings(identity: Identity, from: WayIds): Promise<string[]> {
  const found: string[] = []
  for (const way of waysFromQuery(from, { word: canary })) {
    const answer = JSON.stringify(await app.api(identity).send(`{ ${way} }`))
    const isOfAnother = identity.tenant !== alice.tenant && answer.includes(tenantCanary)
    if (answer.includes(canary) || isOfAnother) found.push(`${way}: ${answer}`)
  }
  return found
}

it('leads its owner to it on many ways', async () => {
  const { Session: session, Run: run, Message: message } = alices
  expect((await findings(alice, { session, run, message })).length).toBeGreaterThan(25)
})

/** Has nothing of alice's: it is for admins, or the same for everybody. */
const isForAdminsOrAll = new Set([
  'Query.users',
  'Query.auditLog',
  'Query.limits',
  'Query.modelPolicy',
  'Query.models',
  'Query.systemStatus',
  'Subscription.modelProgress',
  'Subscription.systemStatusChanged',
])

it('shows all of it to its owner, so that the refusals below mean something', async () => {
  const doors = await openDoors(app.url, app.token(alice))
  const ownSession = alices.Session
  const reading = Object.entries(matrix).filter(([name]) => !name.startsWith('Mutation.'))
  for (const door of doorNames)
    for (const [name, cases] of reading)
      for (const { operation, variables, isForAdmins } of cases) {
        if (isForAdmins) continue
        // Tell of what comes only.
        if (name === 'Subscription.messageAdded' || name === 'Subscription.sessionChanged') continue
        if (isForAdminsOrAll.has(name)) continue
        const text = JSON.stringify(await doors[door](operation, variables?.(alices, ownSession)))
        expect(text.includes(canary) || text.includes(tenantCanary), `${name}: ${text}`).toBe(true)
      }
  doors.close()
})

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

/** Templates are the tenant's, with who made them. */
const isOfTemplate = (found: string) => found.startsWith('templates { nodes { author')

it.each(strangers.filter(([, { role }]) => role !== 'SERVICE'))(
  '%s finds nothing of it on any way through the schema',
  async (_name, stranger) => {
    const api = app.api(stranger)
    const session = await api.createSession({ title: 'Own' })
    const content = `Hello from ${stranger.tenant}`
    const sent = await api.sendMessage({ sessionId: session, content, wait: true })
    const found = await findings(stranger, { session, run: sent.run.id, message: sent.assistantMessage.id })
    expect(found.filter((each) => stranger.tenant !== alice.tenant || !isOfTemplate(each))).toEqual([])
  },
)

/** What alice and her tenant wrote. */
const herWords = new RegExp(`${canary}|${tenantCanary}`)

it('has left none of it in the log, in the metrics, or in what models were asked for strangers', async () => {
  const ofStrangers = asked.map((request) => JSON.stringify(request))
  expect(ofStrangers.filter((request) => request.includes(canary))).toEqual([])
  const ofGlobex = ofStrangers.filter((request) => request.includes('Hello from globex'))
  expect(ofGlobex.length).toBeGreaterThan(1)
  expect(ofGlobex.filter((request) => request.includes(tenantCanary))).toEqual([])

  // What is hers is asked for her, and fails for her, which the log tells.
  const sessionId = await app.api(alice).createSession()
  await app.api(alice).sendMessage({ sessionId, content: breaking, wait: true })
  expect(JSON.stringify(asked.slice(ofStrangers.length))).toContain(canary)
  expect(lines.filter((line) => line.includes('a run failed')).length).toBeGreaterThan(0)
  expect(lines.filter((line) => herWords.test(line))).toEqual([])
  const metrics = await (await fetch(metricsUrl)).text()
  expect(metrics).toContain('parley_runs_finished_total{status="FAILED"}')
  expect(metrics).not.toMatch(herWords)
})
