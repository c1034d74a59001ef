import { z } from 'zod'
import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Session, Statement } from '../../db/client.ts'
import { check, clientKey, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { ModelUnavailableError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { ownerOf, type UserReference, userReference } from '../accounts/people.ts'
import type { Agents } from '../agents/service.ts'
import { recordOfSession } from '../audit/record.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { madeUnder, onceOnly } from '../sessions/client-keys.ts'
import { leaveNotice } from '../sessions/list-notices.ts'
import { createDocumentCheck, type SessionDocument } from './document.ts'
import { takeKeys } from './keys.ts'
import { type ImportFormat, readConversations } from './reading.ts'
import { holdSources } from './sources.ts'
import { type Names, storeDocument } from './store.ts'

export type ImportSession = UserReference & {
  content: string
  format: ImportFormat
  agent?: string | null | undefined
  clientId?: string | null | undefined
}

export type Import = { sessions: Session[]; messageCount: number }

const findAgents: Statement = {
  name: 'transfer-agents',
  text: 'SELECT a.key AS name, a.id FROM agents a WHERE a.tenant_id = $1 AND a.key = ANY($2)',
}

const findTemplates: Statement = {
  name: 'transfer-templates',
  text: 'SELECT t.name, t.id FROM templates t WHERE t.tenant_id = $1 AND t.name = ANY($2)',
}

const findUsers: Statement = {
  name: 'transfer-users',
  text: `SELECT u.external_id AS name, u.id FROM users u
    WHERE u.tenant_id = $1 AND u.external_id = ANY($2) AND ($3::uuid IS NULL OR u.id = $3)`,
}

const inputCheck = z.object({
  agent: text({ min: 1, max: 100 }).nullish(),
  clientId: clientKey.nullish(),
  ...userReference,
})

type Dependencies = {
  config: Pick<Config, 'sessions' | 'runs'>
  agents: Agents
  models: ModelCatalog
  changes: Changes
}

export type Importing = (viewer: Viewer, input: ImportSession) => Promise<Import>

export function createImporting({ config, agents, models, changes }: Dependencies): Importing {
  const { titleMaxLength } = config.sessions
  const documentCheck = createDocumentCheck({
    sessions: config.sessions,
    contentMaxLength: Math.max(config.sessions.messageMaxLength, config.runs.maxTextBytes),
  })

  /** Another installation's model may not be had here; the session then answers with that of its agent. */
  async function isUsable(viewer: Viewer, model: string): Promise<boolean> {
    try {
      await models.require(viewer, model)
      return true
    } catch (error) {
      if (error instanceof ModelUnavailableError) return false
      throw error
    }
  }

  async function usableModels(viewer: Viewer, documents: readonly SessionDocument[]): Promise<Set<string>> {
    const usable = new Set<string>()
    for (const model of new Set(documents.map(({ session }) => session.model)))
      if (model && (await isUsable(viewer, model))) usable.add(model)
    return usable
  }

  /** All or none, in the order of the file. */
  async function store(viewer: Viewer, wanted: readonly Wanted[], owner: Owner): Promise<Session[]> {
    const { tenantId, db } = viewer
    const documents = wanted.map(({ document }) => document)
    const names = await readNames(viewer, documents)
    const usable = await usableModels(viewer, documents)
    const stored = await db.transaction(async (sql) => {
      const known = { names, sources: await holdSources(sql, viewer, documents) }
      const sessions: Session[] = []
      const keyed: { id: string; key: string }[] = []
      for (const { document, key } of wanted) {
        const { agent, model, key: ownKey } = document.session
        const row = {
          ...{ id: newId(), tenantId, userId: owner.userId, ...key },
          agentId: owner.agentId ?? names.agents.get(agent ?? '') ?? null,
          model: model && usable.has(model) ? model : null,
        }
        sessions.push(await storeDocument(sql, document, row, known))
        if (ownKey) keyed.push({ id: row.id, key: ownKey })
        await recordOfSession(sql, viewer, 'importSession', row.id)
      }
      const notice = await leaveNotice(sql, { tenantId, userId: null })
      const keys = await takeKeys(sql, { tenantId, userId: owner.userId }, keyed)
      return { sessions: sessions.map((each) => ({ ...each, key: keys.get(each.id) ?? null })), notice }
    })
    for (const session of stored.sessions) changes.list(session, { shown: true, notices: [stored.notice] })
    return stored.sessions
  }

  return async (viewer, input) => {
    const { clientId } = check(inputCheck, input)
    const agent = input.agent ? await agents.find(viewer, input.agent) : null
    const documents = readConversations(input.content, input.format, documentCheck, titleMaxLength)
    // After all that may be wrong with the file: it may make the record of one who has never signed in.
    const userId = await ownerOf(viewer, input)
    const owner = { userId, agentId: agent?.id ?? null }
    const clientDigest = clientId ? digestOf(input) : null
    const wanted = documents.map((document, index) => {
      return { document, key: { clientId: clientId ? keyOf(clientId, index) : null, clientDigest } }
    })
    const keys = wanted.flatMap(({ key }) => key.clientId ?? [])
    let there = new Map<string, Session>()
    const sessions = await onceOnly(
      async () => {
        if (clientDigest === null) return null
        there = await madeUnder(viewer, userId, keys, clientDigest)
        return there.size === keys.length ? keys.flatMap((key) => there.get(key) ?? []) : null
      },
      async () => {
        // Of those that the same import has made, one may have been erased since.
        const missing = wanted.filter(({ key }) => !there.has(key.clientId ?? ''))
        const added = await store(viewer, missing, owner)
        return wanted.flatMap(({ key }) => there.get(key.clientId ?? '') ?? added.shift() ?? [])
      },
    )
    return { sessions, messageCount: documents.reduce((sum, { messages }) => sum + messages.length, 0) }
  }
}

type ClientKey = { clientId: string | null; clientDigest: string | null }
/** A conversation that is to be a session under this key. */
type Wanted = { document: SessionDocument; key: ClientKey }
/** `agentId`: the agent that the importer chose over that of the file. */
type Owner = { userId: string; agentId: string | null }

/** The first session carries the client's key itself, so that it is known to be taken to whoever creates one. */
const keyOf = (clientId: string, index: number) => (index === 0 ? clientId : `${clientId}/${index}`)

/** Nobody puts words into the mouth of another user, unless it acts for the tenant. */
async function readNames(viewer: Viewer, documents: readonly SessionDocument[]): Promise<Names> {
  const { db, tenantId, userId } = viewer
  const agentKeys = new Set(documents.map(({ session }) => session.agent))
  const templates = new Set(documents.map(({ session }) => session.template))
  const authors = new Set<string | null | undefined>()
  for (const { agent, author } of documents.flatMap(({ messages }) => messages)) {
    agentKeys.add(agent)
    authors.add(author)
  }
  const ids = (rows: readonly { name: string; id: string }[]) =>
    new Map(rows.map(({ name, id }) => [name, id]))
  return {
    agents: ids(await db.sql(findAgents, [tenantId, [...agentKeys].filter(Boolean)])),
    templates: ids(await db.sql(findTemplates, [tenantId, [...templates].filter(Boolean)])),
    users: ids(
      await db.sql(findUsers, [
        tenantId,
        [...authors].filter(Boolean),
        actsForTenant(viewer) ? null : userId,
      ]),
    ),
  }
}
