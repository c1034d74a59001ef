import { z } from 'zod'
import { actingUser, actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import { isUniqueViolation, type Session, type Statement } from '../../db/client.ts'
import { check, clientKey, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { ConflictError, ModelUnavailableError, NotFoundError } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import type { Agents } from '../agents/service.ts'
import { recordAction } from '../audit/record.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns } from '../sessions/rows.ts'
import { createDocumentCheck, type SessionDocument } from './document.ts'
import { type ImportFormat, readConversations } from './reading.ts'
import { type Names, storeDocument } from './store.ts'

export type ImportSession = {
  content: string
  format: ImportFormat
  agent?: string | null | undefined
  userId?: string | null | undefined
  clientId?: string | null | undefined
}

export type Import = { sessions: Session[]; messageCount: number }

const findByClientId: Statement = {
  name: 'transfer-by-client-id',
  text: `SELECT ${sessionColumns} FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.client_id = $3
    AND NOT s.is_stateless`,
}

const findAgents: Statement = {
  name: 'transfer-agents',
  text: 'SELECT a.key AS name, a.id FROM agents a WHERE a.tenant_id = $1 AND a.key = ANY($2)',
}

const findUsers: Statement = {
  name: 'transfer-users',
  text: `SELECT u.external_id AS name, u.id FROM users u
    WHERE u.tenant_id = $1 AND u.external_id = ANY($2) AND ($3::uuid IS NULL OR u.id = $3)`,
}

const inputCheck = z.object({ agent: text({ min: 1, max: 100 }).nullish(), clientId: clientKey.nullish() })

type Dependencies = {
  config: Pick<Config, 'sessions' | 'runs'>
  agents: Agents
  models: ModelCatalog
  changes: Changes
}

export type Importing = (viewer: Viewer, input: ImportSession) => Promise<Import>

export function createImporting({ config, agents, models, changes }: Dependencies): Importing {
  const documentCheck = createDocumentCheck({
    sessions: config.sessions,
    contentMaxLength: Math.max(config.sessions.messageMaxLength, config.runs.maxTextBytes),
  })

  /** Another installation's model may not be had here; the session then answers with that of its agent. */
  async function usableModel(viewer: Viewer, model: string | null | undefined): Promise<string | null> {
    try {
      if (model) await models.require(viewer, model)
      return model ?? null
    } catch (error) {
      if (error instanceof ModelUnavailableError) return null
      throw error
    }
  }

  async function repeated(viewer: Viewer, userId: string, { clientId, clientDigest }: ClientKey) {
    if (clientId === null) return null
    const [session] = await viewer.db.sql<Session>(findByClientId, [viewer.tenantId, userId, clientId])
    if (!session) return null
    if (session.clientDigest !== clientDigest || session.deletedAt !== null)
      throw new ConflictError(
        `clientId: ${JSON.stringify(clientId)} was used before to make another session.`,
      )
    return session
  }

  async function store(viewer: Viewer, document: SessionDocument, owner: Owner, key: ClientKey) {
    const { tenantId } = viewer
    const names = await readNames(viewer, document)
    const id = newId()
    const agentId = owner.agentId ?? names.agents.get(document.session.agent ?? '') ?? null
    const model = await usableModel(viewer, document.session.model)
    const session = { id, tenantId, userId: owner.userId, agentId, model, ...key }
    return changes.commit(viewer.db, id, async (sql) => {
      const result = await storeDocument(sql, document, session, names)
      await recordAction(sql, viewer, { action: 'importSession', target: encodeId('Session', id) })
      return { result, events: [], listed: { shown: true } }
    })
  }

  async function storeOnce(viewer: Viewer, document: SessionDocument, owner: Owner, key: ClientKey) {
    const earlier = await repeated(viewer, owner.userId, key)
    if (earlier) return earlier
    try {
      return await store(viewer, document, owner, key)
    } catch (error) {
      // A racing twin was first: its session is the answer to both.
      const twin = isUniqueViolation(error) ? await repeated(viewer, owner.userId, key) : null
      if (twin) return twin
      throw error
    }
  }

  return async (viewer, input) => {
    const { clientId } = check(inputCheck, input)
    const userId = actingUser(viewer, input.userId)
    await requireUser(viewer, userId)
    const agent = input.agent ? await agents.find(viewer, input.agent) : null
    const documents = readConversations(input.content, input.format, documentCheck)
    const clientDigest = clientId ? digestOf(input) : null
    const sessions: Session[] = []
    for (const [index, document] of documents.entries()) {
      const key = { clientId: clientId ? keyOf(clientId, index) : null, clientDigest }
      sessions.push(await storeOnce(viewer, document, { userId, agentId: agent?.id ?? null }, key))
    }
    return { sessions, messageCount: documents.reduce((sum, { messages }) => sum + messages.length, 0) }
  }
}

type ClientKey = { clientId: string | null; clientDigest: string | null }
/** `agentId`: the agent that the importer chose over that of the file. */
type Owner = { userId: string; agentId: string | null }

/** The first session carries the client's key itself, so that it is known to be taken to whoever creates one. */
const keyOf = (clientId: string, index: number) => (index === 0 ? clientId : `${clientId}/${index}`)

async function requireUser({ db, tenantId, userId: ownId }: Viewer, userId: string): Promise<void> {
  if (userId === ownId) return
  if (!(await db.prisma.user.findFirst({ where: { tenantId, id: userId }, select: { id: true } })))
    throw new NotFoundError('user')
}

/** Nobody puts words into the mouth of another user, unless it acts for the tenant. */
async function readNames(viewer: Viewer, { session, messages }: SessionDocument): Promise<Names> {
  const { db, tenantId, userId } = viewer
  const agentKeys = new Set([session.agent, ...messages.map(({ agent }) => agent)])
  const authors = new Set(messages.map(({ author }) => author))
  const ids = (rows: readonly { name: string; id: string }[]) =>
    new Map(rows.map(({ name, id }) => [name, id]))
  return {
    agents: ids(await db.sql(findAgents, [tenantId, [...agentKeys].filter(Boolean)])),
    users: ids(
      await db.sql(findUsers, [
        tenantId,
        [...authors].filter(Boolean),
        actsForTenant(viewer) ? null : userId,
      ]),
    ),
  }
}
