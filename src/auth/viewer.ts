import type { TenantDatabase } from '../db/client.ts'

/**
 * Who asks. `USER` acts for itself, `ADMIN` for the whole tenant, `SERVICE` is a program of the tenant that may
 * name the user it acts for.
 */
export type Viewer = {
  readonly tenantId: string
  readonly userId: string
  readonly role: ViewerRole
  /** The database as the viewer's tenant sees it; there is no way from here to another tenant's rows. */
  readonly db: TenantDatabase
  /** When the proof of identity ends; live operations end then, too. */
  readonly expiresAt: Date
  /** Of the proof, and the id by which it alone can be revoked. */
  readonly issuedAt: Date
  readonly tokenId: string | undefined
  /** The service that does it in the name of the viewer; what is written down of it is the service's. */
  readonly servedBy?: Pick<Viewer, 'userId' | 'role'>
}

export type ViewerRole = 'USER' | 'ADMIN' | 'SERVICE'
