import { z } from 'zod'
import type { Config } from '../../config.ts'
import type { Run, TenantDatabase } from '../../db/client.ts'
import { check } from '../../lib/checks.ts'
import { ParleyError } from '../../lib/errors.ts'
import type { ToolCall } from '../../llm/provider.ts'
import type { AgentTool } from '../agents/checks.ts'
import { createMemoryCheck, memoryKey } from './checks.ts'
import type { MemoryOwner, MemoryStore } from './store.ts'

/** In whose name the model remembers, and the run that must still be held where it changes something. */
export type MemoryPlace = { sessionId: string; personId: string; run: Pick<Run, 'id' | 'attempt'> }

export type MemoryTools = {
  /** Whether the server carries out calls of this tool by itself. */
  isOwn(tool: AgentTool): boolean
  /**
   * Carries out a call; gives the result that the model is told, which says so where the call is at fault. Throws
   * `RunLostError`, and where the database fails.
   */
  call(db: TenantDatabase, place: MemoryPlace, call: ToolCall): Promise<string>
}

const scope = {
  type: 'string',
  enum: ['user', 'session'],
  description:
    'user: across all conversations of the person, the default; session: in this conversation only.',
}
const key = { type: 'string', description: 'A short name, such as allergies; at most 255 characters.' }

const tool = (name: string, description: string, properties: object, required: string[]): AgentTool => ({
  name,
  description,
  parameters: { type: 'object', properties, required },
  requiresApproval: false,
})

/** What a model is offered whose agent allows it. */
export const memoryToolDefinitions: readonly AgentTool[] = [
  tool(
    'memory_save',
    'Remembers a fact for later: what the person told of itself, wants or decided. What was under the key is replaced.',
    { key, value: { description: 'What to remember, as any JSON.' }, scope },
    ['key', 'value'],
  ),
  tool(
    'memory_get',
    'Gives what is remembered under these keys, or all of it.',
    { keys: { type: 'array', items: { type: 'string' } }, scope },
    [],
  ),
  tool('memory_delete', 'Forgets what is under a key.', { key, scope }, ['key']),
]

/** Of what one call gives, in characters. */
const resultMaxLength = 20_000

export function createMemoryTools(config: Config['memory'], store: MemoryStore): MemoryTools {
  const scoped = z.object({ scope: z.enum(['user', 'session']).default('user') })
  const memory = createMemoryCheck(config).omit({ expiresAt: true })
  const inputs = {
    save: scoped.extend(memory.shape),
    get: scoped.extend({ keys: z.array(memoryKey).max(100, 'has more than 100 entries').nullish() }),
    remove: scoped.extend({ key: memoryKey }),
  }
  const ownerOf = ({ sessionId, personId }: MemoryPlace, of: 'user' | 'session'): MemoryOwner =>
    of === 'user' ? { userId: personId } : { sessionId }

  async function carryOut(db: TenantDatabase, place: MemoryPlace, { name, arguments: given }: ToolCall) {
    if (name === 'memory_save') {
      const { scope: of, ...saved } = check(inputs.save, given)
      await store.save(db, ownerOf(place, of), [saved], place.run)
      return { saved: saved.key }
    }
    if (name === 'memory_get') {
      const { scope: of, keys } = check(inputs.get, given)
      const found = await store.read(db, ownerOf(place, of), keys ?? null)
      return Object.fromEntries(found.map((each) => [each.key, each.value]))
    }
    const { scope: of, key: gone } = check(inputs.remove, given)
    await store.remove(db, ownerOf(place, of), gone, place.run)
    return { deleted: gone }
  }

  return {
    isOwn: (offered) => memoryToolDefinitions.includes(offered),
    async call(db, place, call) {
      try {
        const result = JSON.stringify(await carryOut(db, place, call))
        if (result.length <= resultMaxLength) return result
        return JSON.stringify({ error: 'That is more than fits into one result; ask for fewer keys.' })
      } catch (error) {
        if (error instanceof ParleyError) return JSON.stringify({ error: error.message })
        throw error
      }
    },
  }
}
