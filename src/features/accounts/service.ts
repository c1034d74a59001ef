import { LRUCache } from 'lru-cache'
import type { Claims } from '../../auth/jwt.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Database, Statement } from '../../db/client.ts'
import { UnauthenticatedError } from '../../lib/errors.ts'
import { decodeIdOf, newId } from '../../lib/ids.ts'
import { defaultAgents } from './default-agents.ts'
import { actingFor } from './people.ts'
import type { Revocations } from './revocations.ts'

export type Accounts = {
  /** The viewer that a proven token speaks for; fails with a `RevokedTokenError` where the token was revoked. Users appear at first sight; so do tenants where that is allowed. */
  signIn(claims: Claims): Promise<Viewer>
  /** Makes the tenant with its agents, unless there is one with this slug; resolves to its id. */
  ensureTenant(slug: string, name: string): Promise<{ id: string; created: boolean }>
  /** Who does something: the viewer, or the user whom a service token names. */
  readonly actingFor: typeof actingFor
  /** Takes the user for unknown from now on: its record is gone. */
  forget(userId: string): void
}

/** How long a signed-in user is taken as known before its row is looked at again. */
const knownForMs = 60_000

/** How long a tenant that was not there is not looked up again. */
const unknownForMs = 3_000

const findTenant: Statement = {
  name: 'tenant-by-slug',
  text: 'SELECT id FROM tenants WHERE slug = $1 OR id = $2',
}

const insertTenant: Statement = {
  name: 'tenant-insert',
  text: 'INSERT INTO tenants (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING RETURNING id',
}

const insertAgent: Statement = {
  name: 'agent-insert',
  text: `INSERT INTO agents (tenant_id, id, key, name, description, system_prompt) VALUES ($1, $2, $3, $4, $5, $6)`,
}

const upsertUser: Statement = {
  name: 'user-upsert',
  text: `INSERT INTO users (tenant_id, id, external_id, name, email, role)
    VALUES ($1, $2, $3, $4, $5, $6::"UserRole")
    ON CONFLICT (tenant_id, external_id) DO UPDATE SET
      name = coalesce(excluded.name, users.name), email = coalesce(excluded.email, users.email),
      role = excluded.role, updated_at = now()
    RETURNING id`,
}

export function createAccounts({
  database,
  revocations,
  autoCreateTenants,
}: {
  database: Database
  /** Absent where nobody signs in. */
  revocations?: Pick<Revocations, 'require'>
  autoCreateTenants: boolean
}): Accounts {
  const tenantIds = new LRUCache<string, string>({ max: 10_000, ttl: knownForMs })
  const unknownTenants = new LRUCache<string, true>({ max: 10_000, ttl: unknownForMs })
  const userIds = new LRUCache<string, string>({ max: 50_000, ttl: knownForMs })
  // A token's claims are one object for as long as it counts as proven, which is seconds.
  let viewers = new WeakMap<Claims, Viewer>()

  async function ensureTenant(slug: string, name: string) {
    return database.system.transaction(async (sql) => {
      const id = newId()
      const [created] = await sql<{ id: string }>(insertTenant, [id, slug, name])
      if (!created) {
        const [existing] = await sql<{ id: string }>(findTenant, [slug, null])
        if (!existing) throw new Error(`The tenant ${slug} vanished while it was looked up.`)
        return { id: existing.id, created: false }
      }
      for (const agent of defaultAgents)
        await sql(insertAgent, [id, newId(), agent.key, agent.name, agent.description, agent.systemPrompt])
      return { id, created: true }
    })
  }

  async function tenantIdOf(claim: string): Promise<string> {
    const known = tenantIds.get(claim)
    if (known) return known
    if (unknownTenants.has(claim)) throw unknownTenant(claim)
    const isSlug = !claim.startsWith('tenant_')
    const byId = isSlug ? null : uuidIn(claim)
    const [found] = await database.system.sql<{ id: string }>(findTenant, [claim, byId])
    const id = found?.id ?? (autoCreateTenants && isSlug ? (await ensureTenant(claim, claim)).id : undefined)
    if (id === undefined) {
      unknownTenants.set(claim, true)
      throw unknownTenant(claim)
    }
    tenantIds.set(claim, id)
    return id
  }

  return {
    actingFor,
    ensureTenant,
    forget(userId) {
      for (const [key, known] of userIds.entries()) if (known === userId) userIds.delete(key)
      viewers = new WeakMap()
    },
    async signIn(claims) {
      const known = viewers.get(claims)
      if (known) {
        revocations?.require(known, claims)
        return { ...known }
      }
      const tenantId = await tenantIdOf(claims.tenant)
      const db = database.forTenant(tenantId)
      const { subject, role, name = null, email = null, expiresAt, issuedAt, tokenId } = claims
      const key = JSON.stringify([tenantId, subject, role, name, email])
      let userId = userIds.get(key)
      if (userId === undefined) {
        const [user] = await db.sql<{ id: string }>(upsertUser, [
          tenantId,
          newId(),
          subject,
          name,
          email,
          role,
        ])
        if (!user) throw new Error('The user was neither stored nor found.')
        userId = user.id
        userIds.set(key, userId)
      }
      revocations?.require({ tenantId, userId }, claims)
      const viewer = { tenantId, userId, role, db, expiresAt, issuedAt, tokenId }
      viewers.set(claims, viewer)
      // What is asked in one turn is gathered by who asks, and not to be mixed with that of other operations.
      return { ...viewer }
    },
  }
}

const unknownTenant = (claim: string) =>
  new UnauthenticatedError(`The token names the tenant ${JSON.stringify(claim)}, which does not exist here.`)

/** The UUID of a tenant's id; null for text that only begins like one. */
function uuidIn(claim: string): string | null {
  try {
    return decodeIdOf('Tenant', claim)
  } catch {
    return null
  }
}
