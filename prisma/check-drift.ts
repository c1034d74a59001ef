// node prisma/check-drift.ts: fails when the migrations build something else than schema.prisma describes.
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEmbeddedDatabase } from '../src/db/embedded.ts'
import { findDrift } from './drift.ts'
import { readSchema } from './schema-diff.ts'

const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-drift-')))
// Run by root, PostgreSQL runs as another user, who must get in.
await chmod(folder, 0o711)
const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) }
try {
  const server = await startEmbeddedDatabase({ dataDir: folder, log })
  try {
    const drift = await findDrift(
      server.url,
      await readSchema(),
      fileURLToPath(new URL('migrations', import.meta.url)),
    )
    if (drift.length > 0) {
      console.error(`The schema and its migrations differ:\n  ${drift.join('\n  ')}`)
      console.error('node prisma/create-migration.ts <name> writes the migration that is missing.')
      process.exitCode = 1
    }
  } finally {
    await server.stop()
  }
} finally {
  await rm(folder, { recursive: true })
}
