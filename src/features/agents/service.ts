import type { Viewer } from '../../auth/viewer.ts'
import type { Agent } from '../../db/client.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { decodeIdOf } from '../../lib/ids.ts'

export type Agents = {
  /** The active agent with this key or id; throws `NotFoundError`. */
  find(viewer: Viewer, keyOrId: string): Promise<Agent>
}

export function createAgents(): Agents {
  return {
    async find({ db, tenantId }, keyOrId) {
      const which = keyOrId.startsWith('agent_')
        ? { id: decodeIdOf('Agent', keyOrId, 'agent') }
        : { key: keyOrId }
      const agent = await db.prisma.agent.findFirst({ where: { tenantId, ...which, isActive: true } })
      if (!agent) throw new NotFoundError('agent')
      return agent
    },
  }
}
