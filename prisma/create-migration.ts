// node prisma/create-migration.ts <name> [--from <git ref | nothing>]
//
// Writes the SQL from the schema as it was at the git ref (HEAD, unless told) to the schema as it is in the working
// tree. Prisma's own `migrate dev` does the same with an engine that it downloads first.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { diffSchemas, readSchema } from './schema-diff.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { from: { type: 'string', default: 'HEAD' } },
})
const [name] = positionals
if (!name || !/^[a-z][a-z0-9_]*$/.test(name) || positionals.length > 1) {
  fail('Usage: node prisma/create-migration.ts <name_in_snake_case> [--from <git ref | nothing>]')
}

const sql = await diffSchemas(previousSchema(values.from), await readSchema())
if (!sql) fail(`The schema says the same as at ${values.from}: there is nothing to migrate.`)

const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
const directory = fileURLToPath(new URL(`migrations/${stamp}_${name}`, import.meta.url))
mkdirSync(directory, { recursive: true })
writeFileSync(`${directory}/migration.sql`, `${sql.trim()}\n`)
console.log(
  `${directory}/migration.sql\nA new table needs row-level security and its policies: add them by hand, as the first migration does.`,
)

function previousSchema(ref: string): string | undefined {
  if (ref === 'nothing') return undefined
  return execFileSync('git', ['show', `${ref}:./schema.prisma`], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
