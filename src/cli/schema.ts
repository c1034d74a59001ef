import { readFile, writeFile } from 'node:fs/promises'
import { buildSchema, findBreakingChanges, lexicographicSortSchema, printSchema } from 'graphql'
import { schema } from '../schema.ts'

const file = new URL('../../schema.graphql', import.meta.url)
const changelog = new URL('../../CHANGELOG.md', import.meta.url)

/** Writes `schema.graphql`; with `--check` it compares instead, and names breaking changes. */
export async function run(args: string[]): Promise<void> {
  const printed = `${printSchema(lexicographicSortSchema(schema))}\n`
  if (!args.includes('--check')) {
    await refuseUnannounced(await readFile(file, 'utf8').catch(() => ''))
    await writeFile(file, printed)
    return
  }
  if ((await readFile(file, 'utf8').catch(() => '')) !== printed)
    throw new Error('schema.graphql is not what the code says; run: npm run schema')
}

/** A change that breaks clients must be named in the changelog before it is written. */
async function refuseUnannounced(previous: string): Promise<void> {
  if (previous === '') return
  const notes = await readFile(changelog, 'utf8')
  const unannounced = findBreakingChanges(buildSchema(previous), schema).filter(
    ({ description }) => !notes.includes(description),
  )
  if (unannounced.length === 0) return
  const lines = unannounced.map(({ description }) => `  - ${description}`).join('\n')
  throw new Error(`These changes break clients; name each of them in CHANGELOG.md in these words:\n${lines}`)
}
