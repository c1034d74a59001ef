import type { Config } from '../config.ts'
import type { Tokens } from './jwt.ts'

/** The tenant that is there from the first start, where tenants are made by themselves. */
export const demoTenant = { slug: 'demo', name: 'Demo' }

/** For the person at this machine: anybody who reaches the page gets it, so it is made on loopback alone. */
export function developmentToken(config: Config, tokens: Tokens): string | null {
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(config.server.host)
  if (config.isProduction || !isLoopback || !config.auth.isDevelopmentSecret || !tokens.sign) return null
  return tokens.sign(
    { subject: 'developer', tenant: demoTenant.slug, role: 'ADMIN', name: 'Developer' },
    { expiresIn: '7d' },
  )
}
