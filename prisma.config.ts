import { defineConfig } from 'prisma/config'

// `prisma generate` only checks that an engine is there and never runs it; pointing at any executable spares a
// download that `npm install` would otherwise depend on.
if (process.argv.includes('generate')) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? '' },
})
