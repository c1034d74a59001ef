import type { Viewer } from '../../auth/viewer.ts'
import type { Database, Session, Statement } from '../../db/client.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Revocations } from '../accounts/revocations.ts'
import { recordOfSession } from '../audit/record.ts'
import type { Sessions } from '../sessions/service.ts'
import { type HistorySession, readHistory } from './history.ts'
import type { Importing } from './importing.ts'
import { toJson } from './json.ts'
import { claimedGrant, type Grant, isProven, signGrant } from './links.ts'
import { toMarkdown } from './markdown.ts'

export type ExportLink = { token: string; expiresAt: Date; filename: string }

/** A download that is about to be sent; `chunks` reads the database only as fast as it is read itself. */
export type Download = { filename: string; contentType: string; chunks: AsyncIterable<string> }

export type Transfer = {
  /** A link to a session that the viewer may see: good for ten minutes, but no longer than the viewer's token, which may be revoked. */
  link(viewer: Viewer, sessionId: string, format: Grant['format']): Promise<ExportLink>
  /** What a link leads to. Rights are looked at anew; throws `NotFoundError` for whatever is wrong with it. */
  open(token: string): Promise<Download>
  /** Stores each conversation of a file as a session, all or none. */
  importSessions: Importing
}

const linkLifeMs = 600_000

const formats = {
  JSON: { extension: 'json', contentType: 'application/json; charset=utf-8', render: toJson },
  MARKDOWN: { extension: 'md', contentType: 'text/markdown; charset=utf-8', render: toMarkdown },
}

/** The tenant's key, and what the user's last token said that it is. */
type Asker = { key: Uint8Array; role: Viewer['role'] }

// By the user as well: a link does not outlive who asked for it.
const findAsker: Statement = {
  name: 'transfer-link-asker',
  text: `SELECT t.link_key AS key, u.role
    FROM tenants t JOIN users u ON u.tenant_id = t.id WHERE t.id = $1 AND u.id = $2`,
}

type Dependencies = {
  database: Database
  sessions: Sessions
  revocations: Pick<Revocations, 'require'>
  importSessions: Importing
}

export function createTransfer({ database, sessions, revocations, importSessions }: Dependencies): Transfer {
  async function askerOf({ tenantId, userId }: Pick<Grant, 'tenantId' | 'userId'>): Promise<Asker> {
    const [found] = await database.system.sql<Asker>(findAsker, [tenantId, userId])
    if (!found) throw new NotFoundError('export')
    return found
  }

  async function grantOf(token: string): Promise<Grant> {
    const grant = claimedGrant(token)
    if (!grant || !isProven(token, (await askerOf(grant)).key)) throw new NotFoundError('export')
    return grant
  }

  return {
    importSessions,
    async link(viewer, sessionId, format) {
      const session = await sessions.require(viewer, sessionId, 'VIEWER')
      const { tenantId, userId, role, tokenId } = viewer
      await recordOfSession(viewer.db.sql, viewer, 'exportSession', sessionId)
      const expiresAt = Math.min(Date.now() + linkLifeMs, viewer.expiresAt.getTime())
      const issuedAt = viewer.issuedAt.getTime()
      const grant = { tenantId, userId, role, sessionId, format, expiresAt, issuedAt, tokenId }
      return {
        token: signGrant(grant, (await askerOf(viewer)).key),
        expiresAt: new Date(expiresAt),
        filename: filenameOf(session, format),
      }
    },
    async open(token) {
      const { tenantId, userId, role, tokenId, sessionId, format, ...at } = await grantOf(token)
      const times = { expiresAt: new Date(at.expiresAt), issuedAt: new Date(at.issuedAt) }
      const viewer: Viewer = { tenantId, userId, role, tokenId, ...times, db: database.forTenant(tenantId) }
      const recheck = async () => {
        revocations.require(viewer, viewer)
        const asker = await askerOf(viewer)
        // Who was an admin and is none any more reads what a user may.
        const roleNow = asker.role === 'USER' ? 'USER' : role
        return sessions.require({ ...viewer, role: roleNow }, sessionId, 'VIEWER')
      }
      const session = { ...(await recheck()), ...(await readNames(viewer, sessionId)) }
      const { contentType, render } = formats[format]
      const chunks = render(session, readHistory(viewer, session, recheck))
      return { filename: filenameOf(session, format), contentType, chunks }
    },
  }
}

/** Who owns and answers the session, by the names that outlive this installation, and what its answers draw on. */
function readNames(
  { db, tenantId }: Viewer,
  id: string,
): Promise<Pick<HistorySession, 'agent' | 'template' | 'user' | 'documents'>> {
  return db.prisma.session.findFirstOrThrow({
    where: { tenantId, id },
    select: {
      agent: { select: { key: true } },
      template: { select: { name: true } },
      user: { select: { externalId: true, name: true } },
      documents: {
        select: { document: { select: { id: true, title: true } } },
        orderBy: { document: { title: 'asc' } },
      },
    },
  })
}

/** From the title, without what file systems or shells read as something else. */
function filenameOf({ title }: Session, format: Grant['format']): string {
  const name = (title ?? '')
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '-')
    .slice(0, 80)
    .toWellFormed()
    .replace(/\ufffd/g, '')
    .replace(/^-+|-+$/g, '')
  return `${name || 'session'}.${formats[format].extension}`
}
