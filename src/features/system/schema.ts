import { z } from 'zod'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import type { Gpu, NodeStatus, Space } from './node.ts'
import type { SystemStatus as Status } from './service.ts'

const SystemHealth = builder.enumType('SystemHealth', {
  description: 'How a server does on the whole.',
  values: {
    OK: { description: 'All that it needs answers.' },
    DEGRADED: { description: 'Redis does not answer: live feeds wait, all else goes on.' },
    DOWN: { description: 'The database does not answer.' },
  } as const,
})

const BrokerKind = builder.enumType('BrokerKind', {
  description: 'What carries the live feeds.',
  values: {
    MEMORY: { description: 'The memory of the one server that there is.' },
    REDIS: { description: 'A Redis that several servers share.' },
  } as const,
})

const SpaceRef = builder.objectRef<Space>('Space').implement({
  description: 'Room on a disk or in memory.',
  fields: (t) => ({
    totalBytes: t.exposeFloat('totalBytes', { description: 'All of it.' }),
    usedBytes: t.exposeFloat('usedBytes', { description: 'What cannot be had.' }),
    availableBytes: t.exposeFloat('availableBytes', { description: 'What can still be had.' }),
  }),
})

const CpuStatus = builder.objectRef<NonNullable<NodeStatus['cpu']>>('CpuStatus').implement({
  description: 'The processors of a machine.',
  fields: (t) => ({
    cores: t.exposeInt('cores', { description: 'How many the server may use.' }),
    load: t.exposeFloat('load', { description: 'How busy they all are, from 0 to 1.' }),
  }),
})

const GpuStatus = builder.objectRef<Gpu>('GpuStatus').implement({
  description: 'A graphics card; what its driver does not tell is null.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What it is called.' }),
    vendor: t.exposeString('vendor', { nullable: true, description: 'Who made it.' }),
    load: t.exposeFloat('load', { nullable: true, description: 'How busy it is, from 0 to 1.' }),
    memoryTotalBytes: t.exposeFloat('memoryTotalBytes', { nullable: true, description: 'Its memory.' }),
    memoryUsedBytes: t.exposeFloat('memoryUsedBytes', {
      nullable: true,
      description: 'What of it is in use.',
    }),
    temperatureCelsius: t.exposeFloat('temperatureCelsius', {
      nullable: true,
      description: 'How hot it is.',
    }),
  }),
})

const NodeStatusRef = builder.objectRef<NodeStatus>('NodeStatus').implement({
  description: 'The machine that answers; what cannot be read there is null.',
  fields: (t) => ({
    cpu: t.expose('cpu', { type: CpuStatus, nullable: true, description: 'Its processors.' }),
    loadAverage: t.field({
      type: ['Float'],
      nullable: true,
      description: 'Processes that ran or waited to, on average of 1, 5 and 15 minutes.',
      resolve: ({ loadAverage }) => loadAverage && [...loadAverage],
    }),
    memory: t.expose('memory', { type: SpaceRef, nullable: true, description: 'Its memory.' }),
    disk: t.expose('disk', {
      type: SpaceRef,
      nullable: true,
      description: "The disk that the server's own files are on.",
    }),
    gpus: t.field({
      type: [GpuStatus],
      nullable: true,
      description: 'Its graphics cards.',
      resolve: ({ gpus }) => gpus && [...gpus],
    }),
  }),
})

const PoolStatus = builder.objectRef<Status['database']['pool']>('PoolStatus').implement({
  description: 'The connections of a server to the database.',
  fields: (t) => ({
    max: t.exposeInt('max', { description: 'How many it may open (DATABASE_POOL_SIZE).' }),
    open: t.exposeInt('open', { description: 'How many are open.' }),
    inUse: t.exposeInt('inUse', { description: 'How many work for somebody.' }),
    waiting: t.exposeInt('waiting', { description: 'How many queries wait for one.' }),
  }),
})

const DatabaseStatus = builder.objectRef<Status['database']>('DatabaseStatus').implement({
  description: 'The database, as seen from this server.',
  fields: (t) => ({
    isReachable: t.exposeBoolean('isReachable', { description: 'Whether it answers.' }),
    latencyMs: t.exposeFloat('latencyMs', {
      nullable: true,
      description: 'Milliseconds that the shortest of queries took just now.',
    }),
    pool: t.expose('pool', { type: PoolStatus, description: 'Connections to it.' }),
  }),
})

const BrokerStatus = builder.objectRef<Status['broker']>('BrokerStatus').implement({
  description: 'What carries the live feeds, as seen from this server.',
  fields: (t) => ({
    kind: t.expose('kind', { type: BrokerKind, description: 'What it is.' }),
    isReachable: t.exposeBoolean('isReachable', { description: 'Whether it answers.' }),
  }),
})

const ModelCounts = builder.objectRef<Status['models']>('ModelCounts').implement({
  description: 'How many models there are.',
  fields: (t) => ({
    total: t.exposeInt('total', { description: 'All that are listed.' }),
    available: t.exposeInt('available', { description: 'Whose provider answers, loaded ones included.' }),
    loaded: t.exposeInt('loaded', { description: 'That are in memory.' }),
    unavailable: t.exposeInt('unavailable', { description: 'Whose provider does not answer.' }),
  }),
})

const SystemStatus = builder.objectRef<Status>('SystemStatus').implement({
  description: 'How the server that answers does.',
  fields: (t) => ({
    status: t.expose('status', { type: SystemHealth, description: 'On the whole.' }),
    version: t.exposeString('version', { description: 'The version of Parley.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it started.' }),
    now: t.expose('now', { type: 'DateTime', description: 'When this was read.' }),
    node: t.expose('node', { type: NodeStatusRef, description: 'Its machine.' }),
    database: t.expose('database', { type: DatabaseStatus, description: 'The database.' }),
    broker: t.expose('broker', { type: BrokerStatus, description: 'What carries the live feeds.' }),
    models: t.expose('models', { type: ModelCounts, description: 'Models that the viewer is shown.' }),
    connections: t.exposeInt('connections', {
      description: 'WebSockets and event streams that are open on this server, of all tenants.',
    }),
    subscriptions: t.exposeInt('subscriptions', {
      description: 'Subscriptions and other operations under way on them.',
    }),
    activeRuns: t.exposeInt('activeRuns', {
      nullable: true,
      description:
        'Runs of the tenant that are being answered or wait for results of tools, on all servers; null while the database ' +
        'is away.',
    }),
    queuedRuns: t.exposeInt('queuedRuns', {
      nullable: true,
      description: 'Runs of the tenant that wait for their turn; null while the database is away.',
    }),
  }),
})

builder.queryField('systemStatus', (t) =>
  t.field({
    type: SystemStatus,
    authScopes: { admin: true },
    description: 'How the server that answers does, for admins.',
    resolve: (_root, _args, context) => context.services.system.status(viewerOf(context)),
  }),
)

const interval = z
  .int('is not a whole number')
  .min(1, 'is below 1')
  .max(60, 'is above 60; allowed are 1 to 60 seconds')

builder.subscriptionField('systemStatusChanged', (t) =>
  t.field({
    type: SystemStatus,
    authScopes: { admin: true },
    description: 'How the server does, now and every so many seconds, for admins.',
    args: {
      intervalSeconds: t.arg
        .int({ required: true, defaultValue: 5, description: 'Seconds from one to the next: 1 to 60.' })
        .validate(interval),
    },
    subscribe: (_root, { intervalSeconds }, context) =>
      context.services.system.follow(viewerOf(context), intervalSeconds),
    resolve: (status) => status,
  }),
)
