import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A protection that is taken out of the sources, so that the checker must find its absence. */
export type Mutant = { file: string; from: string; to: string }

const checkout = join(import.meta.dirname, '../..')

/** A copy of the product without these protections; `remove` takes it away again. */
export async function createMutant(
  mutants: readonly Mutant[],
): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'parley-mutant-'))
  for (const name of ['src', 'prisma', 'package.json'])
    await cp(join(checkout, name), join(root, name), { recursive: true })
  await symlink(join(checkout, 'node_modules'), join(root, 'node_modules'))
  for (const { file, from, to } of mutants) {
    const path = join(root, file)
    const source = await readFile(path, 'utf8')
    if (!source.includes(from))
      throw new Error(`${file} has no "${from}" any more: this control needs another place.`)
    await writeFile(path, source.replace(from, to))
  }
  return { root, remove: () => rm(root, { recursive: true }) }
}
