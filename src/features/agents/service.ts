import type { Viewer } from '../../auth/viewer.ts'
import { type Agent, noJson, type Prisma, type Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { createBatch } from '../../lib/batch.ts'
import { check } from '../../lib/checks.ts'
import { invalid, NotFoundError } from '../../lib/errors.ts'
import { decodeIdOf, encodeId } from '../../lib/ids.ts'
import { entryOf } from '../audit/record.ts'
import { type AgentTool, createAgentChecks } from './checks.ts'

export type Agents = {
  /** The active agent with this key or id; throws `NotFoundError`. */
  find(viewer: Viewer, keyOrId: string): Promise<Agent>
  /** The agent of a session, as it was read beside it or else now; for many at once, it is one statement. */
  of(viewer: Viewer, session: { agentId: string | null; agent?: Agent | null }): OrLater<Agent | null>
  /** Makes an agent under a key that no other of the tenant has. */
  create(viewer: Viewer, input: unknown): Promise<Agent>
  /** Changes what is given; null clears where null is a value. Sessions of an inactive agent go on as they are. */
  update(viewer: Viewer, agentId: string, input: unknown): Promise<Agent>
}

type OrLater<Value> = Value | Promise<Value>

const findAgents: Statement = {
  name: 'agent-by-ids',
  text: `SELECT ${columnsOf('Agent')} FROM agents WHERE tenant_id = $1 AND id = ANY($2)`,
}

type Dependencies = {
  promptMaxLength: number
  /** Throws where no such model can be named, or it does not take the parameters. */
  requireModel: (viewer: Viewer, modelId: string, parameters?: object | null) => Promise<void>
  /** Throws where the model, which was chosen before, does not take the parameters. */
  requireTaken: (modelId: string, parameters: object | null | undefined) => void
}

/** Who may change agents is settled by the schema: it is for admins. */
export function createAgents({ promptMaxLength, requireModel, requireTaken }: Dependencies): Agents {
  const checks = createAgentChecks({ promptMaxLength })
  const agentBy = createBatch<Viewer, string, Agent>(async ({ db, tenantId }, ids) => {
    const agents = await db.sql<Agent>(findAgents, [tenantId, ids])
    return new Map(agents.map((agent) => [agent.id, agent]))
  })

  /** Parameters alone are for the model that the agent has; with none, for whatever its sessions choose. */
  async function requireTakenByOwn({ db, tenantId }: Viewer, id: string, parameters: object) {
    const agent = await db.prisma.agent.findFirst({ where: { tenantId, id }, select: { model: true } })
    if (agent?.model) requireTaken(agent.model, parameters)
  }

  return {
    of: (viewer, { agentId, agent }) =>
      agentId === null || agent !== undefined
        ? (agent ?? null)
        : agentBy(viewer, agentId).then((found) => found ?? null),
    async find({ db, tenantId }, keyOrId) {
      const which = keyOrId.startsWith('agent_')
        ? { id: decodeIdOf('Agent', keyOrId, 'agent') }
        : { key: keyOrId }
      const agent = await db.prisma.agent.findFirst({ where: { tenantId, ...which, isActive: true } })
      if (!agent) throw new NotFoundError('agent')
      return agent
    },
    async create(viewer, asked) {
      const { db, tenantId } = viewer
      const { parameters, tools, contextPolicy, memoryTools, ...input } = check(checks.create, asked)
      if (input.model) await requireModel(viewer, input.model, parameters)
      const data = {
        ...{ ...input, tenantId, parameters: parameters ?? {}, tools: asJson(tools) },
        ...{ contextPolicy: contextPolicy ?? noJson, memoryTools: memoryTools ?? false },
      }
      return db.prisma.$transaction(async (prisma) => {
        const [agent] = await prisma.agent.createManyAndReturn({ data: [data], skipDuplicates: true })
        if (!agent) throw invalid('key', `${JSON.stringify(input.key)} is taken by another agent`)
        await prisma.auditEntry.create({ data: changeOf(viewer, 'createAgent', agent) })
        return agent
      })
    },
    async update(viewer, agentId, asked) {
      const { db, tenantId } = viewer
      const { name, isActive, parameters, tools, contextPolicy, memoryTools, ...input } = check(
        checks.update,
        asked,
      )
      if (input.model) await requireModel(viewer, input.model, parameters)
      else if (input.model === undefined && parameters) await requireTakenByOwn(viewer, agentId, parameters)
      const data: Prisma.AgentUpdateInput = { ...input }
      if (name != null) data.name = name
      if (isActive != null) data.isActive = isActive
      if (parameters !== undefined) data.parameters = parameters ?? {}
      if (tools !== undefined) data.tools = asJson(tools)
      if (contextPolicy !== undefined) data.contextPolicy = contextPolicy ?? noJson
      if (memoryTools !== undefined) data.memoryTools = memoryTools ?? false
      return db.prisma.$transaction(async (prisma) => {
        const [agent] = await prisma.agent.updateManyAndReturn({ where: { tenantId, id: agentId }, data })
        if (!agent) throw new NotFoundError('agent')
        await prisma.auditEntry.create({ data: changeOf(viewer, 'updateAgent', agent) })
        return agent
      })
    },
  }
}

const changeOf = (viewer: Viewer, action: string, { id }: Agent) =>
  entryOf(viewer, { action, target: encodeId('Agent', id) })

const asJson = (tools: readonly AgentTool[] | null | undefined) => (tools ?? []) as Prisma.InputJsonArray
