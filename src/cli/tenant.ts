import { parseArgs } from 'node:util'
import { loadConfig } from '../config.ts'
import { createDatabase } from '../db/client.ts'
import { createAccounts } from '../features/accounts/service.ts'
import { encodeId } from '../lib/ids.ts'

const slugForm = /^(?!tenant_)[a-z0-9][a-z0-9_-]{0,62}$/

/** `npm run tenant -- acme --name "Acme"`: makes a tenant with its agents in the database of DATABASE_URL. */
export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { name: { type: 'string' } },
  })
  const [slug] = positionals
  if (!slug || positionals.length > 1 || !slugForm.test(slug))
    throw new Error('Usage: npm run tenant -- SLUG [--name NAME]. A slug has up to 63 of a-z, 0-9, - and _.')
  const { url, ...settings } = loadConfig().database
  if (!url)
    throw new Error(
      'DATABASE_URL is not set. On the embedded database tenants appear with the first token that names them.',
    )
  const onError = (error: Error) => console.error(error.message)
  const database = createDatabase({ ...settings, url, onError })
  try {
    const { id, created } = await createAccounts({ database, autoCreateTenants: false }).ensureTenant(
      slug,
      values.name ?? slug,
    )
    console.log(`${created ? 'Made' : 'There is already'} the tenant ${slug} (${encodeId('Tenant', id)}).`)
  } finally {
    await database.close()
  }
}
