import { invalid } from '../../lib/errors.ts'

/** A message in a tree, and its place in the file. */
export type Branch<Node> = { node: Node; parentId: string | null; path: string }

/** From the root to the message `leafId`, by the parents; throws where they lead nowhere or in a circle. */
export function threadTo<Node>(branches: ReadonlyMap<string, Branch<Node>>, leafId: string): Branch<Node>[] {
  const thread: Branch<Node>[] = []
  const seen = new Set<string>()
  let id: string | null = leafId
  while (id !== null) {
    const branch = branches.get(id)
    const from = thread.at(-1)
    if (!branch) throw invalid(from?.path ?? '', `names ${quoted(id)} as its parent, which is not there`)
    if (seen.has(id)) throw invalid(branch.path, 'is its own ancestor: the parents lead in a circle')
    seen.add(id)
    thread.push(branch)
    id = branch.parentId
  }
  return thread.reverse()
}

const quoted = (id: string) => JSON.stringify(id.slice(0, 100))
